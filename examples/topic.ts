/**
 * A log of clicks, and a worker that counts them on the shards of a database. Its handler fails after having
 * counted, so the batch comes again; it is counted once all the same.
 *
 *   node examples/topic.ts
 */
import { type BatchHandler, database, installWorld, system, topic, worker } from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { migrateDatabase, openDatabaseNodes } from "holdfast/postgres";
import { consumeTopic, openWorld } from "holdfast/runtime";
import { startTestPostgres, until } from "holdfast/testkit";
import * as v from "valibot";

const counts = database<{ visits: { code: string; n: number } }>("counts", {
  migrations: new URL("./topic-migrations/", import.meta.url),
  shards: { count: 4 },
});
const Click = v.object({ code: v.string(), from: v.string() });
const clicks = topic("clicks", { schema: Click, keyBy: (click) => click.code, partitions: 2 });

let failures = 0;
const count: BatchHandler<v.InferOutput<typeof Click>> = async (batch) => {
  await batch.apply(
    counts,
    (click) => click.code,
    async (tx, messages) => {
      for (const { value } of messages) {
        await tx
          .insertInto("visits")
          .values({ code: value.code, n: 1 })
          .onConflict((conflict) =>
            conflict.column("code").doUpdateSet((row) => ({ n: row("visits.n", "+", 1) })),
          )
          .execute();
      }
    },
  );
  if (failures++ === 0) throw new Error("counted, and then it failed");
};
const tally = worker("tally", { from: clicks, batch: 100, load: async () => ({ default: count }) });

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await migrateDatabase(counts, nodes);
await nodes.close();
const config = { name: "example", databases: { counts: postgres.config }, poolSize: 4 };
const open = openWorld(system("example", { parts: { counts, clicks, tally } }), config, {
  clock,
  applicationName: "example",
});
installWorld(open.world);

// Each of them is durable when its publish resolves; together they take a handful of commits.
const codes = ["moon", "sea", "moon", "sky", "moon"];
await Promise.all(codes.map((code) => clicks.publish({ code, from: "example.com" })));

const stop = new AbortController();
const port = open.world.port(clicks);
const consuming = consumeTopic({
  worker: tally,
  topic: port,
  handler: count,
  clock,
  world: open.world,
  signal: stop.signal,
  memberName: "tally-1",
  onBatch: ({ partition, sequence, messages }) =>
    console.log(`partition ${partition}, batch ${sequence}: ${messages} messages`),
  onError: (error, { attempt }) => console.log(`attempt ${attempt} failed: ${(error as Error).message}`),
});
await until(async () => (await port.lag("tally")) === 0n, { what: "every click to be counted" });
stop.abort();
await consuming;

for (const code of new Set(codes)) {
  const row = await counts
    .at(code)
    .read("strong", (sql) =>
      sql.selectFrom("visits").select("n").where("code", "=", code).executeTakeFirstOrThrow(),
    );
  console.log(`${code}: ${row.n}`);
}
await open.close();

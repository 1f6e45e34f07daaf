/**
 * A message that does not work: it is tried, found among those that came with it, put aside, looked at, put right and
 * tried once more. The others count once all the same.
 *
 *   node examples/dead-letters.ts
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
const Click = v.object({ code: v.string() });
const clicks = topic("clicks", { schema: Click, keyBy: (click) => click.code, partitions: 1 });

let knowsComets = false;
const count: BatchHandler<v.InferOutput<typeof Click>> = (batch) =>
  batch.apply(
    counts,
    (click) => click.code,
    async (tx, messages) => {
      for (const { value } of messages) {
        if (value.code === "comet" && !knowsComets) throw new Error("nobody told me about comets");
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
const tally = worker("tally", {
  from: clicks,
  retry: { attemptsMax: 3, baseMs: 10 },
  keepDeadMs: 7 * 86_400_000,
  load: async () => ({ default: count }),
});

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

await clicks.publish(["moon", "comet", "sea", "moon"].map((code) => ({ code })));
const stop = new AbortController();
let attempts = 0;
const consuming = consumeTopic({
  worker: tally,
  topic: open.world.port(clicks),
  handler: count,
  clock,
  world: open.world,
  signal: stop.signal,
  memberName: "tally-1",
  onError: (error, { stage }) => {
    if (stage === "handle") attempts++;
    if (stage === "bury") console.log(`after ${attempts} attempts: ${(error as Error).message}`);
  },
});

const consumer = clicks.consumer("tally");
await until(async () => (await consumer.lag()) === 0n, { what: "everything to be counted or put aside" });
const { letters } = await consumer.deadLetters.search();
for (const { key, failure } of letters) console.log(`dead: ${key}, because ${failure.message}`);

knowsComets = true;
console.log(`tried once more: ${await consumer.deadLetters.redrive({ key: "comet" })}`);
await until(async () => (await consumer.deadLetters.search()).letters.length === 0);
stop.abort();
await consuming;

for (const code of ["moon", "comet", "sea"]) {
  const row = await counts
    .at(code)
    .read("strong", (sql) =>
      sql.selectFrom("visits").select("n").where("code", "=", code).executeTakeFirstOrThrow(),
    );
  console.log(`${code}: ${row.n}`);
}
await open.close();

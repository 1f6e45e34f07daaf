/**
 * Mails as jobs: enqueued alone, with a unique key, and in the transaction that they belong to; retried when they fail,
 * dead letters when they cannot succeed, and counted once however often they come.
 *
 *   node examples/queue.ts
 */
import { database, HoldfastError, installWorld, type Job, queue, system, worker } from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { migrateDatabase, openDatabaseNodes } from "holdfast/postgres";
import { openWorld, workQueue } from "holdfast/runtime";
import { startTestPostgres } from "holdfast/testkit";
import * as v from "valibot";

const counts = database<{ sent: { address: string; n: number } }>("counts", {
  migrations: new URL("./queue-migrations/", import.meta.url),
  shards: { count: 4 },
});
const Mail = v.object({ to: v.string(), text: v.string() });
const mails = queue("mails", { schema: Mail, retry: { attemptsMax: 3, baseMs: 20 } });

const failedOnce = new Set<string>();
const send = async (job: Job<v.InferOutput<typeof Mail>>) => {
  const { to } = job.value;
  if (!to.includes("@")) throw new HoldfastError("HOLDFAST_INPUT_INVALID", `"${to}" is no address. Mend it.`);
  // Counted once for this job, whatever happens afterwards.
  await job.apply(counts, to, async (tx) => {
    await tx
      .insertInto("sent")
      .values({ address: to, n: 1 })
      .onConflict((conflict) =>
        conflict.column("address").doUpdateSet((row) => ({ n: row("sent.n", "+", 1) })),
      )
      .execute();
  });
  if (!failedOnce.has(to)) {
    failedOnce.add(to);
    throw new Error("counted, and then the connection broke");
  }
  return `sent in attempt ${job.attempt}`;
};
const mailer = worker("mailer", { from: mails, load: async () => ({ default: send }), concurrency: 4 });

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await migrateDatabase(counts, nodes);
await nodes.close();
const config = { name: "example", databases: { counts: postgres.config }, poolSize: 4 };
const open = openWorld(system("example", { parts: { counts, mails, mailer } }), config, {
  clock,
  applicationName: "example",
});
installWorld(open.world);

const moon = await mails.enqueue({ to: "moon@example.com", text: "hello" }, { tags: ["welcome"] });
const report = { to: "sea@example.com", text: "the report" };
const first = await mails.enqueue(report, { unique: "report", delayMs: 50 });
const again = await mails.enqueue(report, { unique: "report" });
console.log(
  `enqueued again: ${again.isNew ? "new" : "there already"}, ${again.id === first.id ? "the same" : "another"}`,
);
const bad = await mails.enqueue({ to: "nowhere", text: "hello" });
// Commits with the row, or not at all.
const row = await counts.at("sky@example.com").write(async (tx) => {
  await tx.insertInto("sent").values({ address: "sky@example.com", n: 0 }).execute();
  return mails.enqueue({ to: "sky@example.com", text: "your row is there" }, { in: tx });
});

const stop = new AbortController();
const working = workQueue({
  worker: mailer,
  queue: open.world.port(mails),
  handler: send,
  clock,
  world: open.world,
  signal: stop.signal,
  memberName: "mailer-1",
  onError: (error, { attempt }) => console.log(`attempt ${attempt} failed: ${(error as Error).message}`),
});
console.log(`moon: ${await mails.result(moon.id)}`);
console.log(`sea: ${await mails.result(first.id)}`);
while (!(await mails.get(row.id))) await clock.sleep(20); // it is on its way from its shard
console.log(`sky: ${await mails.result(row.id)}`);
await mails.result(bad.id).catch((error: HoldfastError) => console.log(`nowhere: ${error.code}`));

const dead = await mails.dead.list();
for (const { value, failure } of dead.jobs) console.log(`dead: ${JSON.stringify(value)}, ${failure?.code}`);
console.log(`discarded: ${await mails.dead.discard("all")}`);
stop.abort();
await working;

for (const address of ["moon@example.com", "sea@example.com", "sky@example.com"]) {
  const found = await counts
    .at(address)
    .read("strong", (sql) =>
      sql.selectFrom("sent").select("n").where("address", "=", address).executeTakeFirstOrThrow(),
    );
  console.log(`${address}: ${found.n}`);
}
await open.close();

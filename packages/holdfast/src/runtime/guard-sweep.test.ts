/** What `job.apply` leaves on shards goes when its job can never come again, and not before. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { type Clock, systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { type GuardSweep, guardAgeMs, sweepJobGuards } from "../engines/postgres/queue/guard-sweep.ts";
import { inWorld, type JobHandler, queue, system, worker } from "../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import { notes, numbered } from "./fixtures/jobs/parts.ts";
import { openWorld } from "./open-world.ts";
import { upkeepMs } from "./upkeep.ts";
import { workQueue } from "./work-queue.ts";

const hourMs = 3_600_000;
const jobs = queue("jobs", { schema: numbered, keepDoneMs: 1_000, retry: { baseMs: hourMs, capMs: hourMs } });
/** Job 0 is done, job 1 is a dead letter at once, job 2 is to come again; each has been applied before. */
const applied: [n: number, isNow: boolean][] = [];
const handler: JobHandler<{ n: number }> = async (job) => {
  const { n } = job.value;
  const isNow = await job.apply(notes, `job-${n}`, async (tx) => {
    await tx
      .insertInto("done")
      .values({ job: `job-${n}`, times: 1 })
      .execute();
  });
  applied.push([n, isNow]);
  if (n === 1) throw new HoldfastError("HOLDFAST_INPUT_INVALID", "Wrong. Mend it.");
  if (n === 2) throw new Error("not today");
};
const noter = worker("noter", { from: jobs, load: async () => ({ default: handler }), timeoutMs: hourMs });
const noting = system("noting", { parts: { notes, jobs, noter } });

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2 });
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  applied.length = 0;
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The three jobs have had an attempt each. */
async function scene() {
  const database = await postgres.freshDatabase({ shards: 4 });
  const nodes = openDatabaseNodes(database, { clock: systemClock, applicationName: "migrate" });
  await migrateDatabase(notes, nodes);
  await nodes.close();
  const open = (clock: Clock) => {
    const config = { name: "noting", databases: { notes: database }, poolSize: 4 };
    const { world, close } = openWorld(noting, config, { clock, applicationName: "test" });
    cleanups.push(close);
    return world;
  };
  const world = open(systemClock);
  const port = world.port(notes);
  const stopping = new AbortController();
  const options = { worker: noter, queue: world.port(jobs), handler, clock: systemClock, world };
  const working = workQueue({ ...options, signal: stopping.signal, memberName: "noter-1" });
  cleanups.push(() => {
    stopping.abort();
    return working;
  });
  const ids = (await inWorld(world, () => jobs.enqueueMany([0, 1, 2].map((n) => ({ value: { n } }))))).map(
    ({ id }) => id,
  );
  await until(() => applied.length === 3, { what: "all jobs to be applied" });
  const guards = async () => {
    const shards = await Promise.all(
      Array.from({ length: port.shardCount }, (_, shard) =>
        port.read(shard, "strong", (db) => db.selectFrom("holdfast_effect").select("consumer").execute()),
      ),
    );
    return shards.flat().map(({ consumer }) => String(consumer));
  };
  return {
    ids,
    open,
    port,
    queue: world.port(jobs),
    redrive: () => inWorld(world, () => jobs.dead.redrive("all")),
    discard: () => inWorld(world, () => jobs.dead.discard("all")),
    guards,
    /** Numbers of the jobs that have guards. */
    guarded: async () => (await guards()).map((guard) => ids.indexOf(guard.split(":")[2] ?? "")).sort(),
    sweep: (afterMs: number, given: Partial<GuardSweep> = {}) =>
      sweepJobGuards({
        database: port,
        queues: new Map([["jobs", { port: world.port(jobs), attemptMsMax: hourMs }]]),
        nowMs: systemClock.wallMs() + afterMs,
        ...given,
      }),
    add: (consumer: string, mark: string | null) =>
      port.write(
        0,
        (tx) =>
          tx.insertInto("holdfast_effect").values({ consumer, partition: 0, sequence: 1, mark }).execute(),
        {},
      ),
  };
}

test("guards go with jobs that can never come again, and stay with those that are retried or dead", async () => {
  const { ids, queue, guarded, sweep, redrive, discard } = await scene();
  expect(await guarded()).toEqual([0, 1, 2]);
  const cleared = (n: number) =>
    until(async () => !(await queue.known(ids)).includes(ids[n] ?? ""), {
      what: `job ${n} to be cleared away`,
      timeoutMs: 30_000,
    });
  await cleared(0);
  // Young ones stay: an attempt that was replaced may still go on somewhere.
  expect(await sweep(guardAgeMs)).toBe(0);
  expect(await sweep(guardAgeMs + hourMs)).toBe(1);
  expect(await guarded()).toEqual([1, 2]);

  expect(await redrive()).toBe(1);
  await until(() => applied.length === 4, { what: "the dead letter to run again" });
  expect(applied.at(-1)).toEqual([1, false]);
  expect(await sweep(1_000 * hourMs)).toBe(0);

  await until(async () => (await queue.counts()).dead === 1, { what: "it to be dead again" });
  expect(await discard()).toBe(1);
  await cleared(1);
  expect(await sweep(guardAgeMs + hourMs)).toBe(1);
  expect(await guarded()).toEqual([2]);
});

test("a world does that by itself about every hour", async () => {
  const { open, guarded, discard } = await scene();
  await until(async () => (await discard()) === 1, { what: "the dead letter to be discarded" });
  // Tomorrow, and an hour is over in a moment.
  const hurried: Clock = Object.assign(Object.create(systemClock), {
    wallMs: () => systemClock.wallMs() + 24 * hourMs,
    timer: (ms: number, run: () => void) => systemClock.timer(ms >= upkeepMs / 2 ? 50 : ms, run),
  });
  open(hurried);
  await until(async () => !(await guarded()).includes(1), { what: "its guard to be gone" });
  expect(await guarded()).toContain(2);
});

test("guards of a queue that the system does not have stay for a month, and what is no job's stays", async () => {
  const { ids, add, guards, sweep } = await scene();
  const [id = ""] = ids;
  await add(`job:gone:${id}:key`, String(systemClock.wallMs()));
  await add(`job:older:${id}:key`, null);
  await add("events/tally", "7");
  const others = async () => (await guards()).filter((guard) => !guard.startsWith("job:jobs:")).sort();
  const queues = new Map([["jobs", { port: { known: async () => ids }, attemptMsMax: 0 }]]);
  expect(await sweep(29 * 24 * hourMs, { queues })).toBe(0);
  expect(await others()).toEqual(["events/tally", `job:gone:${id}:key`, `job:older:${id}:key`]);
  expect(await sweep(31 * 24 * hourMs, { queues })).toBe(2);
  expect(await others()).toEqual(["events/tally"]);
});

test("a queue that cannot be asked keeps its guards, and does not hold up the others", async () => {
  const { ids, add, guards, sweep } = await scene();
  await add(`job:another:${ids[0]}:key`, null);
  const away = new HoldfastError("HOLDFAST_UNAVAILABLE", "Away. Wait.");
  const queues: GuardSweep["queues"] = new Map([
    ["another", { port: { known: () => Promise.reject(away) }, attemptMsMax: 0 }],
    ["jobs", { port: { known: async () => [] }, attemptMsMax: 0 }],
  ]);
  await expect(sweep(24 * hourMs, { queues })).rejects.toBe(away);
  expect(await guards()).toEqual([`job:another:${ids[0]}:key`]);
});

test("more guards than are looked at together all go, those of known jobs between them excepted", async () => {
  const { ids, add, guards, port, sweep } = await scene();
  const [id = ""] = ids;
  await port.write(
    0,
    (tx) =>
      tx
        .insertInto("holdfast_effect")
        .values(
          Array.from({ length: 2_500 }, (_, n) => ({
            consumer: `job:jobs:${n % 2 ? id : ids[1]}:${String(n).padStart(22, "0")}`,
            partition: 0,
            sequence: 1,
          })),
        )
        .execute(),
    {},
  );
  await add("job", null);
  const queues = new Map([["jobs", { port: { known: async () => [id] }, attemptMsMax: 0 }]]);
  expect(await sweep(24 * hourMs, { queues })).toBe(1_250 + 2);
  expect((await guards()).filter((guard) => guard.includes(id))).toHaveLength(1_251);
});

/** Retention, what a held transaction costs, and what becomes of jobs whose transactions overtake each other. */
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { multirangeText, parseMultirange } from "./multirange.ts";
import { enqueueStatements } from "./queue-append.ts";
import { turnRing } from "./queue-ring.ts";
import { bytesMax, outgoingJob, type RingScene, ringScene, workOff } from "./queue-testing.ts";
import { cursorSql, ringSettings, windowRows } from "./queue-window.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const kept = (keepDoneMs: number) => ({ keepDoneMs, keepDeadMs: 600_000 });
const turn = ({ nodes, store }: RingScene, keepDoneMs: number) =>
  nodes.primary(nodes.home).use((session) => turnRing(session, store, kept(keepDoneMs)));

async function stranger({ config }: RingScene): Promise<pg.Client> {
  const client = new pg.Client(config.nodes[0]?.primary);
  client.on("error", () => {});
  await client.connect();
  return client;
}

test("under load segments are emptied again and again, and every job comes once, in order", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port } = scene;
  let enqueued = 0;
  let stop = false;
  const emptied: number[] = [];
  const taken: unknown[] = [];
  const enqueuing = (async () => {
    while (!stop) await port.enqueue(Array.from({ length: 10 }, () => outgoingJob(enqueued++)));
  })();
  const turning = (async () => {
    while (!stop) emptied.push(...(await turn(scene, 30)));
  })();
  const working = (async () => {
    while (!stop || taken.length < enqueued) taken.push(...(await workOff(port, 37)));
  })();
  await until(() => emptied.length >= 8, { what: "every segment to be emptied twice", timeoutMs: 40_000 });
  stop = true;
  await Promise.all([enqueuing, turning, working]);
  expect(taken).toEqual(Array.from({ length: enqueued }, (_, n) => n));
});

test("a segment with a job that waits, or that somebody holds, is kept, however old", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port, ask, store } = scene;
  await port.enqueue([outgoingJob("first"), outgoingJob("second")]);
  const rows = async () => (await ask<{ n: number }>(`select count(*)::int as n from ${store.ready}`))[0]?.n;
  for (let round = 0; round < 3; round++) expect(await turn(scene, 0)).toEqual([]);
  const member = await port.join("mailer", "mailer-1@a", 600_000);
  const jobs = await port.claim(member, 2, bytesMax);
  expect(jobs.map((job) => job.value)).toEqual(["first", "second"]);
  for (let round = 0; round < 3; round++) expect(await turn(scene, 0)).toEqual([]);
  const [first, second] = jobs.map((job) => ({ job, end: { kind: "done", resultJson: undefined } }) as const);
  if (!first || !second) throw new Error("there are no jobs");
  await port.finish(member, [first]);
  expect(await turn(scene, 0)).toEqual([]);
  expect(await rows()).toBe(2);
  await port.finish(member, [second]);
  const isEmptied = async () => {
    await turn(scene, 0);
    return (await rows()) === 0;
  };
  await until(isEmptied, { what: "the segment to be emptied" });
  // The cursor has come along: what follows is neither missed nor handed out again.
  await port.enqueue([outgoingJob("third")]);
  expect(await workOff(port)).toEqual(["third"]);
});

test("with a transaction held open elsewhere no dead rows come of jobs that are done", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port, ask } = scene;
  const holder = await stranger(scene);
  await holder.query("create table public.elsewhere (n int)");
  await holder.query("begin isolation level repeatable read");
  await holder.query("insert into public.elsewhere values (1)");
  for (let round = 0; round < 20; round++) {
    await port.enqueue(Array.from({ length: 100 }, (_, n) => outgoingJob(n)));
    expect(await workOff(port)).toHaveLength(100);
  }
  await ask("select pg_stat_force_next_flush()");
  const dead = await ask<{ relname: string; n: number }>(
    `select relname, n_dead_tup::int as n from pg_stat_user_tables
      where schemaname = 'holdfast' and relname like 'queue%' and n_dead_tup > 0`,
  );
  // Joining and leaving is not by job: a member's row changes a few times and goes.
  expect(dead.filter(({ relname }) => relname !== "queue_member")).toEqual([]);
  await holder.query("rollback");
  await holder.end();
});

test("a transaction that enqueued early and commits late is neither missed nor waited for", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port, store } = scene;
  const slow = await stranger(scene);
  await slow.query("begin");
  for (const { text, values } of enqueueStatements(store, [outgoingJob("slow")]).statements)
    await slow.query({ text, values: [...(values ?? [])] });
  await port.enqueue([outgoingJob("quick")]);
  expect(await workOff(port)).toEqual(["quick"]);
  await slow.query("commit");
  await port.enqueue([outgoingJob("later")]);
  expect(new Set(await workOff(port))).toEqual(new Set(["slow", "later"]));
  const aborted = await stranger(scene);
  await aborted.query("begin");
  for (const { text, values } of enqueueStatements(store, [outgoingJob("never")]).statements)
    await aborted.query({ text, values: [...(values ?? [])] });
  await aborted.query("rollback");
  expect(await workOff(port)).toEqual([]);
  await Promise.all([slow.end(), aborted.end()]);
});

test("the same job sent again is the same job, wherever it is", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port, another } = { port: scene.port, another: scene.another() };
  const ready = outgoingJob("ready");
  const delayed = outgoingJob("delayed", { due: { afterMs: 600_000 } });
  expect((await port.enqueue([ready, delayed, ready])).map(({ id }) => id)).toEqual([
    ready.id,
    delayed.id,
    ready.id,
  ]);
  expect((await another.enqueue([ready, delayed])).map(({ isNew }) => isNew)).toEqual([false, false]);
  const racing = outgoingJob("racing");
  const answers = await Promise.all([port.enqueue([racing]), another.enqueue([racing])]);
  expect(answers.flat().filter(({ isNew }) => isNew)).toHaveLength(1);
  expect(await workOff(port)).toEqual(["ready", "racing"]);
  expect((await port.enqueue([ready]))[0]?.isNew).toBe(false);
  expect(await port.counts()).toMatchObject({ waiting: 0, delayed: 1, active: 0 });
});

test("sets of numbers are written as Postgres writes its multiranges", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1 }), async (numbers) => {
      const text = multirangeText([...numbers]);
      const [row] = await scene.ask<{ text: string }>(
        "select range_agg(int8range(n, n + 1))::text as text from unnest($1::bigint[]) n",
        [numbers],
      );
      expect(text).toBe(row?.text);
      expect(parseMultirange(text)).toEqual([...numbers].sort((a, b) => a - b));
    }),
    { numRuns: 50 },
  );
});

test("a look for work costs what is new, however much was handed out before", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port, nodes, store } = scene;
  for (let round = 0; round < 4; round++) {
    await port.enqueue(Array.from({ length: 5_000 }, (_, n) => outgoingJob(n)));
    expect(await workOff(port, 1_000)).toHaveLength(5_000);
  }
  const look = `explain (analyze, buffers, format json)
    select r.* from (${cursorSql(store)}) o cross join lateral (${windowRows(store, "o", "r.xid, r.seq", "100")}) r`;
  const pages = await nodes.primary(nodes.home).use(async (session) => {
    await session.send({ text: `begin; ${ringSettings}` });
    const { rows } = await session.send<Record<string, [{ Plan: Record<string, number> }]>>({ text: look });
    await session.send({ text: "commit" });
    const plan = rows[0]?.["QUERY PLAN"]?.[0].Plan ?? {};
    return (plan["Shared Hit Blocks"] as number) + (plan["Shared Read Blocks"] as number);
  });
  // The index of 20,000 jobs has some eighty pages.
  expect(pages).toBeLessThan(30);
});

test("jobs that are too much for one statement are refused as a whole: no unique key stays taken", async () => {
  await using scene = await ringScene(await postgres.freshDatabase());
  const { port } = scene;
  const text = "x".repeat(1 << 20);
  const once = { unique: { key: "once", forMs: 0 } };
  const many = Array.from({ length: 70 }, (_, n) => outgoingJob(text, n === 0 ? once : {}));
  await expect(port.enqueue(many)).rejects.toMatchObject({ outcome: "not-applied", permanent: true });
  expect(await port.enqueue([outgoingJob("small", once)])).toMatchObject([{ isNew: true }]);
  expect(await workOff(port)).toEqual(["small"]);
});

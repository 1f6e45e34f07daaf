/** Publishing at the instants that are easy to get wrong: between leaving and sending, and between two questions. */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { groupCommitLimits } from "./group-commit.ts";
import { installFramework } from "./install.ts";
import { appendBatch, appendFree, appendStatement, settleBatch } from "./log-append.ts";
import { openTopicLog, type TopicLog } from "./log-tables.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { type PostgresTopic, postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A topic whose process has one connection, unless said otherwise: whoever holds it holds every publish back. */
async function scene(poolSize = 1) {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "publisher", poolSize });
  cleanups.push(() => nodes.close());
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("events", { partitions: 1 }), nodes, systemClock);
  cleanups.push(() => port.close());
  await port.publish([message("first")]);
  const pool = nodes.primary(nodes.home);
  const hold = async () => {
    const session = await pool.lease({ untilMs: systemClock.monotonicMs() + 10_000, call: undefined });
    return () => pool.release(session);
  };
  return { config, pool, port, hold };
}

/** A transaction elsewhere that has published under `key` and is not over. */
async function keyHeld(config: DatabaseConfig, log: TopicLog, key: string): Promise<pg.Client> {
  const client = new pg.Client(config.nodes[0]?.primary);
  await client.connect();
  const messages = [{ ...message("held", key), traceparent: undefined, session: undefined }];
  const { text, values } = appendStatement(log, { id: randomUUID(), messages, tick: false });
  await client.query("begin");
  await client.query({ text, values });
  return client;
}

const message = (value: unknown, key = String(value)) => ({
  partition: 0,
  key,
  json: JSON.stringify(value),
});

async function delivered(port: PostgresTopic): Promise<unknown[]> {
  const values: unknown[] = [];
  for (const claim of await port.heartbeat("reader", "a", 600_000)) {
    for (let batch = await port.next(claim, 1_000); batch; batch = await port.next(claim, 1_000)) {
      values.push(...batch.messages.map((one) => one.value));
      await port.complete(claim, batch.sequence);
    }
  }
  return values;
}

test("asked twice, because the first answer got lost, a batch that never arrived is refused both times", async () => {
  const { pool } = await scene();
  const id = randomUUID();
  expect(await pool.use((session) => settleBatch(session, id))).toBe("refused");
  expect(await pool.use((session) => settleBatch(session, id))).toBe("refused");

  const log = await pool.use((session) => openTopicLog(session, "events", 1));
  const batch = {
    id: randomUUID(),
    messages: [{ ...message("there"), traceparent: undefined, session: undefined }],
    tick: false,
  };
  expect(await pool.use((session) => appendBatch(session, log, batch))).toEqual({ kind: "appended" });
  expect(await pool.use((session) => settleBatch(session, batch.id))).toBe("appended");
  expect(await pool.use((session) => settleBatch(session, batch.id))).toBe("appended");
});

test("who gave up while the batch waited for a connection was not published, though the others were", async () => {
  const { pool, port, hold } = await scene();
  const release = await hold();
  const giveUp = new AbortController();
  using call = new Call(systemClock, { signal: giveUp.signal });
  const left = inCall(call, () => port.publish([message("left")])).catch((error: unknown) => error);
  const stayed = port.publish([message("stayed")]);
  await until(() => pool.load.waiting > 0, { what: "the batch to wait for a connection" });
  giveUp.abort();
  expect(await left).toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
  release();
  await stayed;
  expect(await delivered(port)).toEqual(["first", "stayed"]);
});

test("a batch that everybody has left holds up nobody behind it", async () => {
  const { pool, port, hold } = await scene();
  const release = await hold();
  const giveUp = new AbortController();
  using leaving = new Call(systemClock, { signal: giveUp.signal });
  const before = port.publish([message("before")]).then(() => giveUp.abort());
  await until(() => pool.load.waiting > 0, { what: "the batch before to be under way" });
  const full = Array.from({ length: groupCommitLimits.batchItems }, (_, n) => message(`left ${n}`));
  const left = inCall(leaving, () => port.publish(full)).catch((error: unknown) => error);
  using patient = new Call(systemClock, { timeoutMs: 3_000 });
  const behind = inCall(patient, () => port.publish([message("behind")]));
  release();
  await Promise.all([before, behind]);
  expect(await left).toMatchObject({ outcome: "not-applied" });
  expect(await delivered(port)).toEqual(["first", "before", "behind"]);
});

test("publishes of one key that are under way at once keep their order when the key is held", async () => {
  const { config, pool, port } = await scene(4);
  const log = await pool.use((session) => openTopicLog(session, "events", 1));
  const holder = await keyHeld(config, log, "k");
  // Not the holder: within a transaction the activity of others may be seen as it was at first.
  const watcher = new pg.Client(config.nodes[0]?.primary);
  await watcher.connect();
  cleanups.push(() => watcher.end());
  const steppedAside = async () => {
    const { rowCount } = await watcher.query(
      `select from pg_stat_activity where application_name = 'publisher' and datname = current_database()
        and (query = 'rollback' or query like '%pg_try_advisory_xact_lock%')`,
    );
    return (rowCount ?? 0) > 0;
  };
  const one = port.publish([message(1, "k")]);
  await new Promise((resolve) => setImmediate(resolve)); // the first is on its way, so the second is another batch
  const two = port.publish([message(2, "k")]);
  await until(steppedAside, { what: "the first to give up waiting for the key" });
  await holder.query("commit");
  await holder.end();
  await Promise.all([one, two]);
  expect(await delivered(port)).toEqual(["first", "held", 1, 2]);
});

test("a publish does not overtake one that steps aside for another of its keys", async () => {
  const { config, pool } = await scene(2);
  const log = await pool.use((session) => openTopicLog(session, "events", 1));
  const holder = await keyHeld(config, log, "held");
  const groups = [["free", "held"], ["free", "also free"], ["also free", "not asked for"], ["nobody's"]];
  const messages = groups.map((keys) =>
    keys.map((key) => ({ ...message(key), traceparent: undefined, session: undefined })),
  );
  const { tried } = await pool.use((session) => appendFree(session, log, messages, randomUUID()));
  expect(tried).toEqual([3]);
  await holder.end();
});

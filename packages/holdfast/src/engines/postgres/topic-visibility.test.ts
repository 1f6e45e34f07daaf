/**
 * What makes logs in a database lose, invert or stall: transactions that begin early and end late, that write
 * elsewhere and do not end, or whose end is in doubt. Each on a real server, with transactions of its own.
 */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { PartitionClaim, StoredMessage } from "../../parts/topic/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { installFramework } from "./install.ts";
import { type AppendMessage, appendStatement, lockSlotOf } from "./log-append.ts";
import { readSettings, readStatement } from "./log-read.ts";
import { openTopicLog, type TopicLog } from "./log-tables.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { type PostgresTopic, postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ settings: { max_prepared_transactions: "8" } });
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Scene {
  readonly config: DatabaseConfig;
  readonly nodes: DatabaseNodes;
  readonly port: PostgresTopic;
  readonly log: TopicLog;
  readonly claims: readonly PartitionClaim[];
}

/** A topic with one partition, and a member that holds it. */
async function scene(): Promise<Scene> {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "topic" });
  cleanups.push(() => nodes.close());
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("events", { partitions: 1 }), nodes, systemClock);
  cleanups.push(() => port.close());
  const claims = await port.heartbeat("reader", "a", 600_000);
  const log = await nodes.primary(nodes.home).use((session) => openTopicLog(session, "events", 1));
  return { config, nodes, port, log, claims };
}

/** A connection of somebody else's. */
async function stranger(config: DatabaseConfig, database?: string): Promise<pg.Client> {
  const primary = config.nodes[0]?.primary;
  const client = new pg.Client({ ...primary, ...(database ? { database } : {}) });
  client.on("error", () => {});
  await client.connect();
  cleanups.push(() => client.end().catch(() => {}));
  return client;
}

const message = (key: string, value: unknown = key): AppendMessage => ({
  partition: 0,
  key,
  json: JSON.stringify(value),
  traceparent: undefined,
  session: undefined,
});

/** Publishes within a transaction of the stranger's, as an outbox would. */
function append(client: pg.Client, log: TopicLog, ...messages: AppendMessage[]) {
  const { text, values } = appendStatement(log, { id: randomUUID(), messages, tick: false });
  return client.query({ text, values });
}

async function take({ port, claims }: Scene, max = 1_000): Promise<StoredMessage[]> {
  const [claim] = claims as readonly [PartitionClaim];
  const taken: StoredMessage[] = [];
  for (let batch = await port.next(claim, max); batch; batch = await port.next(claim, max)) {
    taken.push(...batch.messages);
    await port.complete(claim, batch.sequence);
  }
  return taken;
}

const valuesOf = (messages: readonly StoredMessage[]) => messages.map((one) => one.value);

test("an early transaction that publishes late is neither lost nor delivered before what was committed first", async () => {
  const all = await scene();
  const { config, port, log } = all;
  const early = await stranger(config);
  await early.query("begin");
  await early.query("select pg_current_xact_id()"); // a lower transaction id than all that follow
  await port.publish([message("k", "first")]);
  expect(valuesOf(await take(all))).toEqual(["first"]);
  await append(early, log, message("k", "second"));
  expect(await take(all)).toEqual([]);
  await early.query("commit");
  await port.publish([message("k", "third")]);
  const rest = await take(all);
  expect(valuesOf(rest)).toEqual(["second", "third"]);
  expect(rest[1]?.id).toBeGreaterThan(rest[0]?.id as bigint);
});

test("a transaction that took its id before others and commits after them is not skipped", async () => {
  const all = await scene();
  const { config, port, log } = all;
  const slow = await stranger(config);
  await slow.query("begin");
  await append(slow, log, message("slow", 0));
  const seen: unknown[] = [];
  for (let n = 1; n <= 5; n++) {
    await port.publish([message(otherThan("slow", n), n)]);
    seen.push(...valuesOf(await take(all)));
  }
  expect(seen).toEqual([1, 2, 3, 4, 5]);
  await slow.query("commit");
  expect(valuesOf(await take(all))).toEqual([0]);
  expect(await take(all)).toEqual([]);
});

test("a publish waits for a transaction that published the same key, and comes after it", async () => {
  const all = await scene();
  const { config, port, log } = all;
  const open = await stranger(config);
  await open.query("begin");
  await append(open, log, message("k", "first"));
  let published = false;
  const second = port.publish([message("k", "second")]).then(() => {
    published = true;
  });
  // Others pass by it, and their commits show that it had its chance.
  for (let n = 1; n <= 3; n++) await port.publish([message(otherThan("k", n), n)]);
  expect(published).toBe(false);
  expect(valuesOf(await take(all))).toEqual([1, 2, 3]);
  await open.query("commit");
  await second;
  const both = await take(all);
  expect(valuesOf(both)).toEqual(["first", "second"]);
  expect(both[1]?.id).toBeGreaterThan(both[0]?.id as bigint);
});

test("an idle writer elsewhere on the server stalls no delivery, and does not make reads dearer as it stays", async () => {
  const all = await scene();
  const { config, nodes, port, log, claims } = all;
  const idleHere = await stranger(config);
  await idleHere.query("create table elsewhere (n int)");
  for (const client of [idleHere, await stranger(config, "postgres")]) {
    await client.query("begin");
    await client.query("select pg_current_xact_id()");
  }
  const { xmin } = (await idleHere.query("select pg_snapshot_xmin(pg_current_snapshot())::text as xmin"))
    .rows[0];
  const costs: number[] = [];
  for (let round = 1; round <= 150; round++) {
    await port.publish([message(`k${round % 10}`, round)]);
    expect(valuesOf(await take(all))).toEqual([round]);
    if (round % 50 === 0) costs.push(await emptyReadBlocks(nodes, log, claims));
  }
  const probe = await stranger(config);
  const held = (await probe.query("select pg_snapshot_xmin(pg_current_snapshot())::text as xmin")).rows[0];
  expect(held.xmin).toBe(xmin); // the effect is really there: the oldest transaction has stood still
  expect(costs[2]).toBeLessThanOrEqual((costs[0] as number) + 8);
});

test("a prepared transaction in doubt holds up nobody else, and its messages come once, when it is decided", async () => {
  const all = await scene();
  const { config, port, log } = all;
  const preparer = await stranger(config);
  await preparer.query("begin");
  await append(preparer, log, message("doubt", "in doubt"));
  await preparer.query("prepare transaction 'gid-1'");
  await preparer.end();
  const others = Array.from({ length: 20 }, (_, n) => otherThan("doubt", n));
  for (const [n, key] of others.entries()) {
    await port.publish([message(key, n)]);
    expect(valuesOf(await take(all))).toEqual([n]);
  }
  // Its own key waits for the decision, and says so at its deadline; together with others, they do not.
  using call = new Call(systemClock, { timeoutMs: 600 });
  const same = inCall(call, () => port.publish([message("doubt", "too soon")]));
  const beside = port.publish([message(others[0] as string, "beside")]);
  await expect(same).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
  await beside;
  expect(valuesOf(await take(all))).toEqual(["beside"]);
  const decider = await stranger(config);
  await decider.query("commit prepared 'gid-1'");
  await port.publish([message("doubt", "after")]);
  expect(valuesOf(await take(all))).toEqual(["in doubt", "after"]);
  expect(await take(all)).toEqual([]);
  expect(await port.lag("reader")).toBe(0n);
});

test("what was rolled back never comes", async () => {
  const all = await scene();
  const { config, port, log } = all;
  const client = await stranger(config);
  await client.query("begin");
  await append(client, log, message("k", "gone"));
  await client.query("rollback");
  await port.publish([message("k", "there")]);
  expect(valuesOf(await take(all))).toEqual(["there"]);
});

test("a consumer that is far behind goes on from tick to tick, each message once and in order", async () => {
  const all = await scene();
  const { port, nodes, log, config } = all;
  const open = await stranger(config);
  await open.query("begin");
  await append(open, log, message("straggler", -1));
  const count = 9_000;
  for (let n = 0; n < count; n += 500) {
    await port.publish(Array.from({ length: 500 }, (_, i) => message(otherThan("straggler", i % 7), n + i)));
  }
  await open.query("commit");
  const { rows } = await nodes
    .primary(nodes.home)
    .use((session) =>
      session.send<{ ticks: number }>({ text: "select count(*)::int as ticks from holdfast.topic_tick" }),
    );
  expect(rows[0]?.ticks).toBeGreaterThan(1);
  const taken = await take(all, 250);
  const regular = taken.filter((one) => one.value !== -1);
  expect(valuesOf(regular)).toEqual(Array.from({ length: count }, (_, n) => n));
  expect(taken).toHaveLength(count + 1);
});

test("reading uses the index, also with a plan made while the log was empty", async () => {
  const all = await scene();
  const { port, nodes, log, claims } = all;
  await take(all); // the plan of this session is made now
  for (let n = 0; n < 20; n++) await port.publish(Array.from({ length: 500 }, (_, i) => message(`k${i}`)));
  await take(all);
  expect(await emptyReadBlocks(nodes, log, claims)).toBeLessThan(60);
});

/** Blocks that one read looks at when there is nothing new: its cost, whatever the machine is doing. */
async function emptyReadBlocks(
  nodes: DatabaseNodes,
  log: TopicLog,
  claims: readonly PartitionClaim[],
): Promise<number> {
  return nodes.primary(nodes.home).use(async (session) => {
    const asked = claims.map((claim) => ({ ...claim, maxMessages: 100 }));
    const { text, values } = readStatement(log, 1, asked);
    session.push({ text: `begin; ${readSettings}` });
    const { rows } = await session.send<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>({
      text: `explain (analyze, buffers, format json) ${text}`,
      values,
    });
    await session.send({ text: "commit" });
    const plan = rows[0]?.["QUERY PLAN"][0]?.Plan;
    return (plan?.["Shared Hit Blocks"] ?? 0) + (plan?.["Shared Read Blocks"] ?? 0);
  });
}

/** The n-th key whose lock is another than `key`'s. */
function otherThan(key: string, n: number): string {
  const candidates = Array.from({ length: 60 }, (_, i) => `other-${i}`);
  return candidates.filter((one) => lockSlotOf(one) !== lockSlotOf(key))[n] as string;
}

/** Synchronous replication on real servers, with replicas stopped, frozen and back. */
import { type Kysely, sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, type ReadLevel } from "../../parts/database/index.ts";
import type { AnyTables, DatabasePort } from "../../parts/database/port.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import type { RunningNode } from "./embedded/index.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

const synchronous = { mode: "synchronous", quorum: 1, onReplicaLoss: "stall" } as const;
const declaration = database<never>("sync", { shards: { count: 1 }, replication: synchronous });
const poolSize = 3;
let postgres: TestPostgres;
let node: RunningNode;
let nodes: DatabaseNodes;
let port: DatabasePort;

beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
  [node] = postgres.nodes as [RunningNode];
  const setup = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "setup" });
  await migrateDatabase(declaration, setup);
  const make = (tx: Kysely<AnyTables>) => sql`create table item (id int primary key)`.execute(tx);
  const asynchronous = database<never>("sync", { shards: { count: 1 } });
  await postgresDatabase(asynchronous, setup, systemClock).write(0, make, {});
  await setup.close();
  await postgres.caughtUp();
  await node.setWaits("test", true);
  await node.setQuorum(1);
});
afterAll(() => postgres?.stop());

beforeEach(() => {
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "sync", poolSize });
  port = postgresDatabase(declaration, nodes, systemClock);
});
afterEach(async () => {
  await nodes.close();
  await postgres.caughtUp();
});

let made = 0;
const insert = (id: number, timeoutMs = 10_000, from = port) =>
  inCall(new Call(systemClock, { timeoutMs }), () =>
    from.write(0, (tx) => sql`insert into item values (${id})`.execute(tx), {}),
  );
const has = (id: number, level: ReadLevel) =>
  port.read(0, level, async (db) => {
    const { rows } = await sql<{
      is: boolean;
    }>`select exists (select from item where id = ${id}) as is`.execute(db);
    return rows[0]?.is;
  });
/** Backends that wait for a standby. */
const waiting = () =>
  nodes.primary("node-1").use(async (session) => {
    const { rows } = await session.send<{ count: number }>({
      text: "select count(*)::int as count from pg_stat_activity where wait_event = 'SyncRep'",
    });
    return rows[0]?.count ?? 0;
  });
const unproven = {
  code: "HOLDFAST_UNAVAILABLE",
  outcome: "not-applied",
  message: expect.stringContaining("quorum"),
};

test("with its quorum there, writes are acknowledged and strong reads are proven", async () => {
  const id = ++made;
  await insert(id);
  expect(await has(id, "strong")).toBe(true);
  // Many at once share their proofs.
  expect(await Promise.all(Array.from({ length: 20 }, () => has(id, "strong")))).toEqual(
    Array(20).fill(true),
  );
});

test("with the replica gone, writes wait and are unknown, strong reads refused, others go on; then it all comes to an end", async () => {
  const before = ++made;
  await insert(before);
  await node.replicas[0]?.stop();
  const id = ++made;
  await expect(insert(id, 500)).rejects.toMatchObject({ outcome: "unknown" });
  await expect(has(id, "strong")).rejects.toMatchObject(unproven);
  expect(await has(before, "eventual")).toBe(true);
  expect(await has(before, "session")).toBe(true);
  await node.restartServer(0);
  await until(() => has(id, "strong"), { what: "the waiting commit" });
});

test("writers that give up leave no more connections waiting than their pool has", async () => {
  await node.replicas[0]?.stop();
  const attempts = Array.from({ length: 12 }, () => insert(++made, 300).catch((error: unknown) => error));
  const outcomes = (await Promise.all(attempts)).map((error) => (error as { outcome: string }).outcome);
  expect(outcomes.filter((outcome) => outcome === "unknown")).toHaveLength(poolSize);
  expect(outcomes.filter((outcome) => outcome === "not-applied")).toHaveLength(12 - poolSize);
  const other = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "look" });
  const { rows } = await other.primary("node-1").use((session) =>
    session.send<{ count: number }>({
      text: "select count(*)::int as count from pg_stat_activity where wait_event = 'SyncRep'",
    }),
  );
  expect(rows[0]?.count).toBe(poolSize);
  await other.close();
  await node.restartServer(0);
  await until(async () => (await waiting()) === 0);
  await insert(++made);
});

test("a replica that is frozen acknowledges nothing until it goes on", async () => {
  const id = ++made;
  const replica = node.replicas[0];
  if (!replica) throw new Error("no replica");
  const { findServerProcesses } = await import("./embedded/index.ts");
  const pids = await findServerProcesses(replica.dataDir);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    await expect(insert(id, 500)).rejects.toMatchObject({ outcome: "unknown" });
    await expect(has(id, "strong")).rejects.toMatchObject(unproven);
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
  await until(() => has(id, "strong"), { what: "the waiting commit" });
});

test("what a primary shows after a crash is not acknowledged before the quorum has it", async () => {
  const id = ++made;
  await node.replicas[0]?.stop();
  const writing = insert(id, 4_000);
  const refused = expect(writing).rejects.toMatchObject({ outcome: "unknown" });
  await until(async () => (await waiting()) > 0);
  node.primary.kill("SIGKILL");
  await node.primary.exited;
  await node.restartServer("primary");
  // The commit is there for everybody to see, on this one disk; its marker is not taken for its word.
  await until(() => has(id, "eventual"), { what: "recovery" });
  await expect(has(id, "strong")).rejects.toMatchObject(unproven);
  await refused;
  await node.restartServer(0);
  await until(() => has(id, "strong"));
});

test("an asynchronous database beside it waits for nobody", async () => {
  const config = await postgres.freshDatabase({ shards: 1 });
  const beside = database<never>("beside", { shards: { count: 1 } });
  const besideNodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "beside" });
  await migrateDatabase(beside, besideNodes);
  await node.setWaits(config.nodes[0]?.primary.database ?? "", false);
  await besideNodes.close();
  const open = openDatabaseNodes(config, { clock: systemClock, applicationName: "beside" });
  const besidePort = postgresDatabase(beside, open, systemClock);
  await besidePort.write(0, (tx) => sql`create table item (id int primary key)`.execute(tx), {});
  await node.replicas[0]?.stop();
  await insert(1, 10_000, besidePort);
  await open.close();
  await node.restartServer(0);
});

test("a database that is declared synchronous on a server that waits for nobody is not believed", async () => {
  await node.setQuorum(0);
  await expect(has(1, "strong")).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    message: expect.stringContaining("synchronous_standby_names is empty"),
  });
  await node.setQuorum(1);
  expect(await has(1, "strong")).toBe(true);
});

/** What sessions know, across a failover that lost the end of the primary's log. */
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, type ReadLevel } from "../../parts/database/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { PgSession } from "./session.ts";

const declaration = database<never>("lost", { shards: { count: 1 } });
let postgres: TestPostgres;
/** Where the primary is after the failover, and where it was. */
let promoted: DatabaseConfig;
let deposed: DatabaseConfig;
/** Knows a write that the replica had. */
const kept = new Session();
/** Knows a write that it never had. */
const lost = new Session();
/** Has read at the primary what the replica never had. */
const lostReader = new Session();

function openOn(config: DatabaseConfig): DatabaseNodes {
  return openDatabaseNodes(config, { clock: systemClock, applicationName: "lost" });
}
const insert = (nodes: DatabaseNodes, session: Session, id: number) =>
  inCall(new Call(systemClock, { session }), () =>
    postgresDatabase(declaration, nodes, systemClock).write(
      0,
      (tx: Kysely<AnyTables>) => sql`insert into item values (${id})`.execute(tx),
      {},
    ),
  );
const idsAt = (nodes: DatabaseNodes, session: Session, level: ReadLevel) =>
  inCall(new Call(systemClock, { session }), () =>
    postgresDatabase(declaration, nodes, systemClock).read(0, level, async (db) => {
      const { rows } = await sql<{ id: number }>`select id from item order by id`.execute(db);
      return rows.map(({ id }) => id);
    }),
  );
const copyOf = (session: Session) => {
  const copy = new Session();
  copy.merge(session);
  return copy;
};

beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
  const [node] = postgres.nodes;
  const [nodeConfig] = postgres.config.nodes;
  const [replica] = nodeConfig?.replicas ?? [];
  if (!node || !nodeConfig || !replica) throw new Error("no replica");
  deposed = postgres.config;
  promoted = { ...postgres.config, nodes: [{ ...nodeConfig, primary: replica, replicas: [] }] };
  const nodes = openOn(postgres.config);
  await migrateDatabase(declaration, nodes);
  await postgresDatabase(declaration, nodes, systemClock).write(
    0,
    (tx: Kysely<AnyTables>) => sql`create table item (id int primary key)`.execute(tx),
    {},
  );
  await insert(nodes, kept, 1);
  await postgres.caughtUp();

  const standby = await PgSession.connect(replica, {
    applicationName: "test",
    where: "test",
    connectTimeoutMs: 5_000,
  });
  // Cut off from here on: what is written now dies with the primary.
  await standby.send({ text: "alter system set primary_conninfo to ''" });
  await standby.send({ text: "select pg_reload_conf()" });
  await until(async () => (await standby.send({ text: "select from pg_stat_wal_receiver" })).rowCount === 0, {
    what: "the end of streaming",
  });
  await insert(nodes, lost, 2);
  expect(await idsAt(nodes, lostReader, "strong")).toEqual([1, 2]);
  await nodes.close();
  node.primary.kill("SIGQUIT");
  await node.primary.exited;
  await standby.send({ text: "select pg_promote(true, 30)" });
  await standby.close();
});
afterAll(() => postgres?.stop());

test("a write from before the fork holds on the new timeline", async () => {
  const nodes = openOn(promoted);
  for (const level of ["session", "strong"] as const)
    expect(await idsAt(nodes, copyOf(kept), level)).toEqual([1]);
  expect(nodes.tokenCounts).toEqual({ foreign: 0, future: 0, lost: 0 });
  await nodes.close();
});

test.each(["read-your-writes", "session", "causal", "strong"] as const)(
  "a read at level %s is told that the session's write is lost, once",
  async (level) => {
    const nodes = openOn(promoted);
    const session = copyOf(lost);
    await expect(idsAt(nodes, session, level)).rejects.toMatchObject({
      code: "HOLDFAST_WRITE_LOST",
      outcome: "not-applied",
      permanent: true,
      data: { node: "node-1", lost: ["written"] },
    });
    expect(await idsAt(nodes, session, level)).toEqual([1]);
    expect(nodes.tokenCounts.lost).toBe(1);
    await nodes.close();
  },
);

test("so is a reader whose earlier read saw it, and a consumer that heard of it", async () => {
  const nodes = openOn(promoted);
  const reader = copyOf(lostReader);
  await expect(idsAt(nodes, reader, "monotonic")).rejects.toMatchObject({ data: { lost: ["read"] } });
  const consumer = new Session();
  consumer.hear(lost);
  await expect(idsAt(nodes, consumer, "causal")).rejects.toMatchObject({ data: { lost: ["heard"] } });
  await nodes.close();
});

test("a write of that session is not begun before it was told", async () => {
  const nodes = openOn(promoted);
  const session = copyOf(lost);
  await expect(insert(nodes, session, 3)).rejects.toMatchObject({
    code: "HOLDFAST_WRITE_LOST",
    outcome: "not-applied",
  });
  expect(await idsAt(nodes, new Session(), "strong")).toEqual([1]);
  await insert(nodes, session, 3);
  expect(await idsAt(nodes, session, "session")).toEqual([1, 3]);
  expect(session.get("node-1")?.written?.timeline).toBe(2);
  await nodes.close();
});

test("a position beyond the log's end on the same timeline is no loss: it is cut to the end and counted", async () => {
  const nodes = openOn(promoted);
  const session = new Session();
  await idsAt(nodes, session, "strong");
  const end = session.get("node-1")?.read;
  if (!end) throw new Error("the read was not remembered");
  session.raise("node-1", { ...end, lsn: end.lsn + (1n << 40n) }, "written");
  expect(await idsAt(nodes, session, "session")).toEqual([1, 3]);
  expect(nodes.tokenCounts).toEqual({ foreign: 0, future: 1, lost: 0 });
  expect((session.get("node-1")?.written?.lsn ?? 0n) - end.lsn).toBeLessThan(1n << 30n);
  await nodes.close();
});

test("what is known of another cluster is ignored, counted and forgotten", async () => {
  const nodes = openOn(promoted);
  const session = new Session();
  session.raise("node-1", { system: "77", timeline: 9, lsn: 1n }, "written");
  expect(await idsAt(nodes, session, "session")).toEqual([1, 3]);
  expect(nodes.tokenCounts).toEqual({ foreign: 1, future: 0, lost: 0 });
  expect(session.get("node-1")?.written).toBeUndefined();
  await nodes.close();
});

test("the deposed primary is not asked by whoever knows of its successor", async () => {
  const [node] = postgres.nodes;
  if (!node) throw new Error("no node");
  await node.restartServer("primary");
  const successor = openOn(promoted);
  const session = copyOf(kept);
  await insert(successor, session, 20);
  await successor.close();
  const nodes = openOn(deposed);
  await expect(idsAt(nodes, session, "strong")).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
    data: { timeline: 1, newer: 2 },
  });
  expect(session.get("node-1")?.written?.timeline).toBe(2);
  await nodes.close();
});

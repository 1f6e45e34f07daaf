/** Writers while their primary is lost for good and a replica takes its place: nothing acknowledged goes missing unsaid. */
import { type Kysely, sql } from "kysely";
import { afterEach, expect, test } from "vitest";
import { Call, type HoldfastError, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, type ReplicationOptions } from "../../parts/database/index.ts";
import type { AnyTables, DatabasePort } from "../../parts/database/port.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { loseDir } from "../../testkit/lose-dir.ts";
import { postgresDatabase } from "./database.ts";
import type { RunningNode } from "./embedded/index.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let port: DatabasePort;
let node: RunningNode;
afterEach(async () => {
  await nodes?.close();
  await postgres?.stop();
});

async function open(replication: ReplicationOptions): Promise<void> {
  const declaration = database<never>("failover", { shards: { count: 1 }, replication });
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
  [node] = postgres.nodes as [RunningNode];
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "failover" });
  await migrateDatabase(declaration, nodes);
  port = postgresDatabase(declaration, nodes, systemClock);
  const make = (tx: Kysely<AnyTables>) => sql`create table item (id int primary key)`.execute(tx);
  const asynchronous = database<never>("failover", { shards: { count: 1 } });
  await postgresDatabase(asynchronous, nodes, systemClock).write(0, make, {});
  await postgres.caughtUp();
}

/** What became of a write, by its id, and the session that made it. */
interface Written {
  readonly id: number;
  readonly session: Session;
  readonly ended: "acknowledged" | "not-applied" | "unknown";
}

/** Writes with sessions of their own, several at once, until told to stop. */
function writers(count: number) {
  const done: Written[] = [];
  let stopped = false;
  let made = 0;
  const running = Array.from({ length: count }, async () => {
    while (!stopped) {
      const [id, session] = [++made, new Session()];
      const call = new Call(systemClock, { session, timeoutMs: 20_000 });
      const ended = await inCall(call, () =>
        port.write(0, (tx) => sql`insert into item values (${id})`.execute(tx), {}),
      ).then(
        () => "acknowledged" as const,
        (error: HoldfastError) => error.outcome as "not-applied" | "unknown",
      );
      done.push({ id, session, ended });
    }
  });
  return {
    done,
    acknowledged: () => done.filter(({ ended }) => ended === "acknowledged").length,
    async stop() {
      stopped = true;
      await Promise.all(running);
      return done;
    },
  };
}

async function stored(): Promise<Set<number>> {
  const ids = await port.read(0, "strong", async (db) => {
    const { rows } = await sql<{ id: number }>`select id from item`.execute(db);
    return rows.map(({ id }) => id);
  });
  return new Set(ids);
}

/** As the supervisor does it: the replica takes over, and a fresh one comes in its place. */
async function loseThePrimary(): Promise<void> {
  await loseDir(node.primary.dataDir);
  await node.failOver();
  await node.restartServer(0);
}

test("synchronous: every write that was acknowledged is there, before and after", async () => {
  await open({ mode: "synchronous", onReplicaLoss: "stall" });
  await node.setWaits("test", true);
  await node.setQuorum(1);
  const writing = writers(6);
  await until(() => writing.acknowledged() > 100);
  await loseThePrimary();
  const atFailover = writing.acknowledged();
  await until(() => writing.acknowledged() > atFailover + 100, { timeoutMs: 30_000 });
  const done = await writing.stop();
  const there = await stored();
  const missing = done.filter(({ id, ended }) => ended === "acknowledged" && !there.has(id));
  expect(missing.map(({ id }) => id)).toEqual([]);
  // Nor is anything there that was said not to have been applied.
  expect(done.filter(({ id, ended }) => ended === "not-applied" && there.has(id))).toEqual([]);
});

test("asynchronous: whoever's acknowledged write is missing is told so, and nobody reads past it", async () => {
  await open({});
  const writing = writers(4);
  await until(() => writing.acknowledged() > 50);
  // What is written from here on dies with the primary.
  const replica = nodes.replica("node-1");
  await replica?.use((session) => session.send({ text: "alter system set primary_conninfo to ''" }));
  await replica?.use((session) => session.send({ text: "select pg_reload_conf()" }));
  const cutOffAt = writing.acknowledged();
  await until(() => writing.acknowledged() > cutOffAt + 100);
  await loseDir(node.primary.dataDir);
  await node.failOver();
  const atFailover = writing.acknowledged();
  await until(() => writing.acknowledged() > atFailover + 20, { timeoutMs: 30_000 });
  const done = await writing.stop();
  const there = await stored();
  const lost = done.filter(({ id, ended }) => ended === "acknowledged" && !there.has(id));
  expect(lost.length).toBeGreaterThan(50);
  for (const { id, session } of lost) {
    const reading = inCall(new Call(systemClock, { session }), () =>
      port.read(0, "session", (db) => sql`select from item where id = ${id}`.execute(db)),
    );
    await expect(reading, `of ${id}`).rejects.toMatchObject({ code: "HOLDFAST_WRITE_LOST" });
  }
});

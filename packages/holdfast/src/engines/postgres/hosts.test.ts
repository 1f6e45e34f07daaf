/** Nodes whose servers are found by asking, while they are promoted, paused, killed and come back by another's hand. */
import { type Kysely, sql } from "kysely";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Call, type HoldfastError, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/database/index.ts";
import type { AnyTables, DatabasePort } from "../../parts/database/port.ts";
import { type PostgresMember, startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { HostsDatabaseConfig, PostgresEndpoint } from "./config.ts";
import { postgresDatabase } from "./database.ts";
import type { HostsStatus } from "./hosts-watch.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

const declaration = database<never>("found", { shards: { count: 1 } });
let postgres: TestPostgres;
let nodes: DatabaseNodes;
let port: DatabasePort;
let told: HostsStatus[];
let hosts: PostgresEndpoint[];
let members: PostgresMember[];

beforeEach(async () => {
  postgres = await startTestPostgres({ replicas: 2, shards: 1 });
  const [node] = postgres.config.nodes;
  if (!node) throw new Error("there is a node");
  // Replicas first: nothing in the order says who is who.
  hosts = [...node.replicas, node.primary];
  members = [...postgres.members.slice(1), postgres.members[0] as PostgresMember];
  told = [];
  nodes = openDatabaseNodes(config(hosts), {
    clock: systemClock,
    applicationName: "found",
    hostsLookMs: 300,
    hostsChanged: (status) => told.push(status),
  });
  await migrateDatabase(declaration, nodes);
  port = postgresDatabase(declaration, nodes, systemClock);
  await port.write(0, (tx) => sql`create table item (id int primary key)`.execute(tx), {});
  await postgres.caughtUp();
});
afterEach(async () => {
  await nodes?.close();
  await postgres?.stop();
});

function config(of: readonly PostgresEndpoint[]): HostsDatabaseConfig {
  return { nodes: [{ name: "node-1", hosts: of }], shardMap: { epoch: 1, shards: ["node-1"] } };
}

const roles = () => nodes.hosts()[0]?.hosts.map(({ role }) => role);
const insert = (id: number) => (tx: Kysely<AnyTables>) => sql`insert into item values (${id})`.execute(tx);

async function on<T>(endpoint: PostgresEndpoint, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port: at, database: name, user, password } = endpoint;
  const client = new pg.Client({ host, port: at, database: name, user, password });
  client.on("error", () => {});
  await client.connect();
  try {
    return await ask(client);
  } finally {
    await client.end();
  }
}

const promote = (index: number) =>
  on(hosts[index] as PostgresEndpoint, (client) => client.query("select pg_promote(true, 60)"));

/** Has a standby follow another server, as whoever promotes does it. */
async function follow(index: number, primary: number): Promise<void> {
  const { host, port: at, user, password } = hosts[primary] as PostgresEndpoint;
  await on(hosts[index] as PostgresEndpoint, async (client) => {
    const conninfo = `host=${host} port=${at} user=${user} password=${password}`;
    await client.query("alter system set primary_slot_name = ''");
    await client.query(`alter system set primary_conninfo = '${conninfo}'`);
    await client.query("select pg_reload_conf()");
  });
}

/** What became of a write, by its id, and the session that made it. */
interface Written {
  readonly id: number;
  readonly session: Session;
  readonly ended: "acknowledged" | "not-applied" | "unknown";
}

function writers(count: number, first = 1) {
  const done: Written[] = [];
  let stopped = false;
  let made = first;
  const running = Array.from({ length: count }, async () => {
    while (!stopped) {
      const [id, session] = [made++, new Session()];
      const call = new Call(systemClock, { session, timeoutMs: 20_000 });
      const ended = await inCall(call, () => port.write(0, insert(id), {})).then(
        () => "acknowledged" as const,
        (error: HoldfastError) => error.outcome as "not-applied" | "unknown",
      );
      done.push({ id, session, ended });
    }
  });
  return {
    acknowledged: () => done.filter(({ ended }) => ended === "acknowledged").length,
    async stop() {
      stopped = true;
      await Promise.all(running);
      return done;
    },
  };
}

async function idsOn(endpoint: PostgresEndpoint): Promise<Set<number>> {
  const { rows } = await on(endpoint, (client) => client.query<{ id: number }>("select id from s0.item"));
  return new Set(rows.map(({ id }) => id));
}

/** Every write is where its outcome says, or its session is told that it was lost. @returns how many were lost */
async function judge(done: readonly Written[], winner: PostgresEndpoint): Promise<number> {
  const there = await idsOn(winner);
  expect(done.filter(({ id, ended }) => ended === "not-applied" && there.has(id))).toEqual([]);
  const lost = done.filter(({ id, ended }) => ended === "acknowledged" && !there.has(id));
  for (const { id, session } of lost) {
    const reading = inCall(new Call(systemClock, { session }), () =>
      port.read(0, "session", (db) => sql`select from item where id = ${id}`.execute(db)),
    );
    await expect(reading, `of ${id}`).rejects.toMatchObject({ code: "HOLDFAST_WRITE_LOST" });
  }
  return lost.length;
}

test("the one that takes writes is found by asking, and the others serve reads", async () => {
  await port.write(0, insert(1), {});
  expect(roles()).toEqual(["replica", "replica", "primary"]);
  expect(nodes.primary("node-1").endpoint.port).toBe(hosts[2]?.port);
  expect(nodes.replicas("node-1").map((pool) => pool.endpoint.port)).toEqual([
    hosts[0]?.port,
    hosts[1]?.port,
  ]);
  const { rows } = await port.read(0, "strong", (db) => sql`select id from item`.execute(db));
  expect(rows).toEqual([{ id: 1 }]);
});

test("a killed primary: writes wait for the promotion, reads go on, and no write is lost unsaid", async () => {
  const writing = writers(4);
  await until(() => writing.acknowledged() > 50);
  await members[2]?.kill();
  await until(() => nodes.hosts()[0]?.noWrites !== undefined);
  const { rows } = await port.read(0, "eventual", (db) => sql`select id from item limit 1`.execute(db));
  expect(rows).toHaveLength(1);
  await promote(0);
  const atPromotion = writing.acknowledged();
  await follow(1, 0);
  await until(() => writing.acknowledged() > atPromotion + 50, { timeoutMs: 30_000 });
  const done = await writing.stop();
  await judge(done, hosts[0] as PostgresEndpoint);
  await until(() => roles()?.join() === "primary,replica,away", { timeoutMs: 15_000 });
  // The old one comes back by itself, and takes writes: nobody asks it.
  await members[2]?.restart();
  await until(() => roles()?.join() === "primary,replica,deposed", { timeoutMs: 15_000 });
  await port.write(0, insert(1_000_000), {});
  expect((await idsOn(hosts[2] as PostgresEndpoint)).has(1_000_000)).toBe(false);
});

test("two that take writes: the higher timeline wins, and the other is left in the middle", async () => {
  const writing = writers(4);
  await until(() => writing.acknowledged() > 50);
  // Paused, not dead: its connections stay, and it will go on as if nothing had been.
  await members[2]?.pause();
  await promote(0);
  await until(() => nodes.primary("node-1").endpoint.port === hosts[0]?.port, { timeoutMs: 20_000 });
  const atSwitch = writing.acknowledged();
  await until(() => writing.acknowledged() > atSwitch + 50, { timeoutMs: 20_000 });
  await members[2]?.resume();
  await until(() => roles()?.[2] === "deposed", { timeoutMs: 15_000 });
  const resumedAt = writing.acknowledged();
  await until(() => writing.acknowledged() > resumedAt + 50);
  const done = await writing.stop();
  await judge(done, hosts[0] as PostgresEndpoint);
  // Nothing reached the deposed one after the switch, but what it had committed before it stood still.
  const [old, there] = [await idsOn(hosts[2] as PostgresEndpoint), await idsOn(hosts[0] as PostgresEndpoint)];
  const only = done.filter(({ id, ended }) => old.has(id) && !there.has(id) && ended === "acknowledged");
  expect(only.length).toBeLessThanOrEqual(atSwitch);
  expect(told.some((status) => status.hosts.some(({ role }) => role === "deposed"))).toBe(true);
});

test("a primary whose successor only a session knows takes no write and answers nothing with authority", async () => {
  await port.write(0, insert(1), {});
  await promote(0);
  // This process cannot reach the new one: its hosts are the old one alone.
  const alone = openDatabaseNodes(config([hosts[2] as PostgresEndpoint]), {
    clock: systemClock,
    applicationName: "alone",
    hostsLookMs: 300,
  });
  try {
    const old = postgresDatabase(declaration, alone, systemClock);
    await old.write(0, insert(2), {});
    const session = new Session();
    await until(() => nodes.primary("node-1").endpoint.port === hosts[0]?.port, { timeoutMs: 20_000 });
    await inCall(new Call(systemClock, { session }), () => port.write(0, insert(3), {}));
    const told = () => new Call(systemClock, { session, timeoutMs: 1_500 });
    await expect(inCall(told(), () => old.write(0, insert(4), {}))).rejects.toMatchObject({
      outcome: "not-applied",
    });
    await until(() => alone.hosts()[0]?.hosts[0]?.role === "deposed", { timeoutMs: 10_000 });
    // Now nobody in this process asks it, with a session or without.
    const plain = () => new Call(systemClock, { timeoutMs: 500 });
    await expect(inCall(plain(), () => old.write(0, insert(5), {}))).rejects.toMatchObject({
      outcome: "not-applied",
    });
    const strong = () => old.read(0, "strong", (db) => sql`select 1`.execute(db));
    await expect(inCall(plain(), strong)).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE" });
    expect([...(await idsOn(hosts[2] as PostgresEndpoint))].sort()).toEqual([1, 2]);
  } finally {
    await alone.close();
  }
});

test("two on the same timeline, and hosts of different clusters, are refused with the reason", async () => {
  const other = await startTestPostgres({ nodes: 2, shards: 1 });
  try {
    const foreign = { ...(other.config.nodes[1]?.primary as PostgresEndpoint) };
    const mixed = openDatabaseNodes(config([hosts[2] as PostgresEndpoint, foreign]), {
      clock: systemClock,
      applicationName: "mixed",
    });
    const asked = postgresDatabase(declaration, mixed, systemClock).write(0, insert(1), {});
    await expect(asked).rejects.toMatchObject({
      code: "HOLDFAST_HOSTS_CONFLICT",
      outcome: "not-applied",
      message: expect.stringContaining("different clusters"),
    });
    await mixed.close();
  } finally {
    await other.stop();
  }
  // Both leave the old timeline where they stand, each for a new one of the same number.
  await members[2]?.kill();
  await Promise.all([
    on(hosts[0] as PostgresEndpoint, (client) => client.query("select pg_promote(true, 60)")),
    on(hosts[1] as PostgresEndpoint, (client) => client.query("select pg_promote(true, 60)")),
  ]);
  await until(() => nodes.hosts()[0]?.noWrites?.includes("both take writes"), { timeoutMs: 15_000 });
  await expect(port.write(0, insert(2), {})).rejects.toMatchObject({ code: "HOLDFAST_HOSTS_CONFLICT" });
});

/** Which server answers a read when replicas lag or servers are gone. */
import { type Kysely, sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall, Session } from "../../call/index.ts";
import { manualClock, systemClock } from "../../clock/index.ts";
import type { AnyTables, DatabasePort, ReadLevel } from "../../parts/database/port.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { PgSession } from "./session.ts";
import { parseLsn } from "./timeline.ts";

const declaration = database<never>("routing", { shards: { count: 2 } });
let postgres: TestPostgres;
let nodes: DatabaseNodes;
let port: DatabasePort;

beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 2 });
  const setup = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "setup" });
  await migrateDatabase(declaration, setup);
  const make = (tx: Kysely<AnyTables>) => sql`create table item (id int primary key)`.execute(tx);
  const database = postgresDatabase(declaration, setup, systemClock);
  await Promise.all([0, 1].map((shard) => database.write(shard, make, {})));
  await setup.close();
  await postgres.caughtUp();
});
afterAll(() => postgres?.stop());

beforeEach(() => {
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "routing" });
  port = postgresDatabase(declaration, nodes, systemClock);
});
afterEach(() => nodes.close());

let made = 0;
const insert = (id: number) => port.write(0, (tx) => sql`insert into item values (${id})`.execute(tx), {});
/** Who answered, and whether it had the row. */
const look = (id: number, level: ReadLevel) =>
  port.read(0, level, async (db) => {
    const { rows } = await sql<{ standby: boolean; found: boolean }>`
      select pg_is_in_recovery() as standby, exists (select from item where id = ${id}) as found`.execute(db);
    return `${rows[0]?.standby ? "replica" : "primary"}: ${rows[0]?.found ? "there" : "not there"}`;
  });
const withSession = <T>(run: () => Promise<T>, session = new Session()) =>
  inCall(new Call(systemClock, { session }), run);

async function onReplica(text: string): Promise<void> {
  const endpoint = postgres.config.nodes[0]?.replicas[0];
  if (!endpoint) throw new Error("no replica");
  const session = await PgSession.connect(endpoint, {
    applicationName: "test",
    where: "test",
    connectTimeoutMs: 5_000,
  });
  await session.send({ text });
  await session.close();
}

describe("with a replica whose replay is paused", () => {
  beforeEach(() => onReplica("select pg_wal_replay_pause()"));
  afterEach(async () => {
    await onReplica("select pg_wal_replay_resume()");
    await postgres.caughtUp();
  });

  test("a session reads its own write from the primary; others may still see the old state", async () => {
    const id = ++made;
    await withSession(async () => {
      await insert(id);
      expect(await look(id, "session")).toBe("primary: there");
      expect(await look(id, "eventual")).toBe("replica: not there");
      expect(await look(id, "strong")).toBe("primary: there");
    });
    expect(await look(id, "session")).toBe("replica: not there");
  });

  test("a session travels: what it wrote in one call it reads in another, also of another process", async () => {
    const id = ++made;
    const session = new Session();
    await withSession(() => insert(id), session);
    const travelled = new Session();
    travelled.merge(session);
    await nodes.close();
    nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "another" });
    port = postgresDatabase(declaration, nodes, systemClock);
    expect(await withSession(() => look(id, "session"), travelled)).toBe("primary: there");
  });

  test("what a session has seen it does not lose sight of", async () => {
    const id = ++made;
    await insert(id);
    await withSession(async () => {
      expect(await look(id, "strong")).toBe("primary: there");
      expect(await look(id, "session")).toBe("primary: there");
    });
  });

  test("a repeated idempotency key lets the session read what the first write wrote", async () => {
    const id = ++made;
    const once = () =>
      port.write(0, (tx) => sql`insert into item values (${id})`.execute(tx).then(() => {}), {
        idempotencyKey: `insert ${id}`,
      });
    await once();
    await withSession(async () => {
      await once();
      expect(await look(id, "session")).toBe("primary: there");
    });
  });

  test("without the primary, a read that needs what the replica lacks says so", async () => {
    const id = ++made;
    const session = new Session();
    await withSession(() => insert(id), session);
    const [node] = postgres.nodes;
    if (!node) throw new Error("no node");
    node.primary.kill("SIGKILL");
    await node.primary.exited;
    // Its backends notice a little later that they are alone, and answer until then.
    await until(() => nodes.primary(nodes.home).load.idle === 0);
    try {
      await expect(withSession(() => look(id, "session"), session)).rejects.toMatchObject({
        code: "HOLDFAST_UNAVAILABLE",
        outcome: "not-applied",
        message: expect.stringContaining("no replica has yet what this session"),
      });
      expect(await withSession(() => look(id, "eventual"), session)).toBe("replica: not there");
      expect(await withSession(() => look(id, "session"))).toBe("replica: not there");
    } finally {
      await node.restartServer("primary");
    }
  });
});

test("a replica that has replayed a session's write serves its reads", async () => {
  const id = ++made;
  await withSession(async () => {
    await insert(id);
    await postgres.caughtUp();
    expect(await look(id, "session")).toBe("replica: there");
  });
});

test("a replica reaches a commit that ends with a page of the log, while nothing more is written", async () => {
  const pageBytes = 8192n;
  // Bytes of the log from the look at its end to the end of the commit, without the padding: learned on the way.
  let rest: bigint | undefined;
  /** @returns where the session has to get to */
  const commitAtPageEnd = async (): Promise<bigint> => {
    const session = new Session();
    const { from, padding } = await withSession(
      () =>
        port.write(
          0,
          async (tx) => {
            await sql`insert into item values (${++made})`.execute(tx);
            const { rows } = await sql<{
              lsn: string;
            }>`select pg_current_wal_insert_lsn()::text as lsn`.execute(tx);
            const from = parseLsn(rows[0]?.lsn ?? "");
            let padding = 400n;
            if (rest !== undefined) {
              padding = pageBytes - (from % pageBytes) - rest;
              // On to the end of the next page, whose header has 24 bytes.
              if (padding < 400n) padding += pageBytes - 24n;
            }
            await sql`select pg_logical_emit_message(true, '', repeat('x', ${Number(padding)}))`.execute(tx);
            return { from, padding };
          },
          {},
        ),
      session,
    );
    const to = session.get(nodes.home)?.written?.lsn ?? 0n;
    if (to / pageBytes === from / pageBytes) rest = to - from - padding;
    await withSession(
      () => until(async () => (await look(made, "session")) === "replica: there", { timeoutMs: 5_000 }),
      session,
    );
    return to;
  };
  await until(async () => (await commitAtPageEnd()) % pageBytes === 0n, { everyMs: 0 });
});

test("with the primary dead, reads go on from the replica and strong ones are refused; writes wait for it", async () => {
  const id = ++made;
  await insert(id);
  await postgres.caughtUp();
  expect(await look(id, "strong")).toBe("primary: there");
  const [node] = postgres.nodes;
  if (!node) throw new Error("no node");
  node.primary.kill("SIGKILL");
  await node.primary.exited;
  expect(await look(id, "session")).toBe("replica: there");
  expect(await look(id, "eventual")).toBe("replica: there");
  await expect(look(id, "strong")).rejects.toMatchObject({ outcome: "not-applied", permanent: false });
  const next = ++made;
  const writing = inCall(new Call(systemClock, { timeoutMs: 30_000 }), () => insert(next));
  await node.restartServer("primary");
  await writing;
  expect(await look(next, "strong")).toBe("primary: there");
});

test("with the replica dead, the primary serves, also reads that are under way", async () => {
  const id = ++made;
  await insert(id);
  await postgres.caughtUp();
  expect(await look(id, "session")).toBe("replica: there");
  const [node] = postgres.nodes;
  const [replica] = node?.replicas ?? [];
  if (!node || !replica) throw new Error("no replica");
  const underWay = port.read(0, "eventual", async (db) => {
    const { rows } = await sql<{ standby: boolean }>`
      select pg_is_in_recovery() as standby, pg_sleep(case when pg_is_in_recovery() then 30 else 0 end)`.execute(
      db,
    );
    return rows[0]?.standby;
  });
  await until(async () => nodes.replica(nodes.home)?.load.leased === 1);
  // Backends of a killed postmaster may live on for a moment: end them all at once, as a power cut would.
  await replica.stop();
  expect(await underWay).toBe(false);
  expect(await look(id, "session")).toBe("primary: there");
  expect(await look(id, "eventual")).toBe("primary: there");
  await node.restartServer(0);
  await postgres.caughtUp();
  await until(async () => (await look(id, "eventual")) === "replica: there");
});

test("a write to a server that is a standby is refused as not applied", async () => {
  const [node] = postgres.config.nodes;
  const [standby] = node?.replicas ?? [];
  if (!node || !standby) throw new Error("no replica");
  const swapped = { ...postgres.config, nodes: [{ ...node, primary: standby }] };
  const clock = manualClock();
  const wrong = openDatabaseNodes(swapped, { clock, applicationName: "swapped" });
  let over = false;
  const writing = postgresDatabase(declaration, wrong, clock)
    .write(0, async () => {}, {})
    .catch((error: unknown) => error)
    .finally(() => {
      over = true;
    });
  // Time passes between the attempts only, so that it is not while connecting that patience ends.
  const connects = () => wrong.primary(node.name).load.connecting > 0;
  await until(() => (connects() ? over : clock.advance(100).then(() => over)), { everyMs: 1 });
  expect(await writing).toMatchObject({ code: "HOLDFAST_UNAVAILABLE", outcome: "not-applied" });
  await wrong.close();
});

test("pooled connections that died unnoticed fail no read and no write", async () => {
  const id = ++made;
  await insert(id);
  const warm = () => Promise.all(Array.from({ length: 6 }, () => look(id, "strong")));
  await warm();
  await port.write(
    0,
    (tx) =>
      sql`select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and application_name = 'routing'`.execute(tx),
    {},
  );
  expect(await warm()).toEqual(Array.from({ length: 6 }, () => "primary: there"));
  await insert(++made);
});

test("a table that changes under prepared statements fails no read and no write", async () => {
  const wide = () => port.read(1, "strong", (db) => sql`select * from item`.execute(db));
  const narrow = () =>
    port.write(1, (tx) => sql`insert into item (id) values (${++made}) returning *`.execute(tx), {});
  for (let i = 0; i < 4; i++) {
    await wide();
    await narrow();
  }
  await port.write(1, (tx) => sql`alter table item add column note text default 'new'`.execute(tx), {});
  expect((await wide()).rows[0]).toHaveProperty("note");
  expect((await narrow()).rows[0]).toHaveProperty("note");
});

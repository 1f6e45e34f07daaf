/** Behind a real PgBouncer, in each of its modes: refused with the remedy, or right. */
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/database/index.ts";
import { startTestPgBouncer, startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import type { DatabaseConfig, PostgresEndpoint } from "./config.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { PgSession } from "./session.ts";

const declaration = database<never>("behind", { shards: { count: 1 } });
/** As somebody sets it who wants his driver to connect at last: then nothing fails, and nothing holds. */
const silenced = {
  ignore_startup_parameters: "options,idle_in_transaction_session_timeout,extra_float_digits",
};
let postgres: TestPostgres;
let direct: PostgresEndpoint;
beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1 });
  direct = postgres.config.nodes[0]?.primary as PostgresEndpoint;
});
afterAll(() => postgres?.stop());

function through(primary: PostgresEndpoint): DatabaseConfig {
  return { nodes: [{ name: "node-1", primary, replicas: [] }], shardMap: { epoch: 1, shards: ["node-1"] } };
}

async function firstWords(endpoint: PostgresEndpoint): Promise<unknown> {
  const nodes = openDatabaseNodes(through(endpoint), { clock: systemClock, applicationName: "behind" });
  try {
    return await postgresDatabase(declaration, nodes, systemClock).read(0, "strong", (db) =>
      sql`select 1 as one`.execute(db),
    );
  } finally {
    await nodes.close();
  }
}

const undeclared = {
  code: "HOLDFAST_POOLER",
  outcome: "not-applied",
  data: { where: "test/node-1 primary", why: "undeclared" },
  message: expect.stringContaining("Connect to Postgres directly"),
};

test.each(["session", "transaction", "statement"] as const)(
  "%s mode, not declared: refused at connect, also when the pooler is told to swallow what it cannot carry",
  async (mode) => {
    await using strict = await startTestPgBouncer({ to: direct, mode });
    await expect(firstWords(strict.endpoint)).rejects.toMatchObject(undeclared);
    await using lax = await startTestPgBouncer({ to: direct, mode, settings: silenced });
    await expect(firstWords(lax.endpoint)).rejects.toMatchObject(undeclared);
  },
);

test.each(["transaction", "statement"] as const)(
  "%s mode, declared as session mode: found out before anything runs",
  async (mode) => {
    await using bouncer = await startTestPgBouncer({ to: direct, mode, settings: silenced });
    await expect(firstWords({ ...bouncer.endpoint, pooler: "session" })).rejects.toMatchObject({
      code: "HOLDFAST_POOLER",
      data: { why: "shared" },
    });
  },
);

test("a pooler that is put into another mode under way: the transaction fails by itself, and what is behind it", async () => {
  await using bouncer = await startTestPgBouncer({ to: direct, mode: "session", settings: silenced });
  const session = await PgSession.connect(
    { ...bouncer.endpoint, pooler: "session" },
    { applicationName: "behind", where: "here", connectTimeoutMs: 2_000 },
  );
  await session.begin("public");
  await bouncer.setMode("transaction");
  await session.send({ text: "rollback" });
  // Somebody else gets the server that was the session's, and keeps it.
  const other = new pg.Client({ ...bouncer.endpoint });
  await other.connect();
  await other.query("begin");
  const begun = session.begin("public");
  const behind = session.send({ text: "create table never (id int)" });
  behind.catch(() => {});
  await expect(begun).rejects.toMatchObject({ code: "HOLDFAST_POOLER", outcome: "not-applied" });
  await expect(behind).rejects.toMatchObject({ data: { sqlstate: "25P02" } });
  session.destroy();
  await other.end();
});

test("session mode, declared: everything works as without it", async () => {
  await using bouncer = await startTestPgBouncer({ to: direct, mode: "session" });
  const nodes = openDatabaseNodes(through({ ...bouncer.endpoint, pooler: "session" }), {
    clock: systemClock,
    applicationName: "behind",
    poolSize: 4,
  });
  try {
    await migrateDatabase(declaration, nodes);
    const port = postgresDatabase(declaration, nodes, systemClock);
    await port.write(0, (tx) => sql`create table item (id int primary key)`.execute(tx), {});
    const ids = Array.from({ length: 40 }, (_, id) => id);
    const session = new Session();
    await inCall(new Call(systemClock, { session }), () =>
      Promise.all(
        ids.map((id) => port.write(0, (tx) => sql`insert into item values (${id})`.execute(tx), {})),
      ),
    );
    const { rows } = await port.read(0, "strong", (db) =>
      sql`select count(*)::int as n from item`.execute(db),
    );
    expect(rows).toEqual([{ n: 40 }]);
    // Read-only unless a transaction says otherwise, whoever had the server before.
    const writes = port.read(0, "strong", (db) => sql`delete from item`.execute(db));
    await expect(writes).rejects.toMatchObject({ data: { sqlstate: "25006" } });
    // A cancel request goes through the pooler to the statement that it is for.
    const slow = inCall(new Call(systemClock, { timeoutMs: 300 }), () =>
      port.read(0, "strong", (db) => sql`select pg_sleep(60)`.execute(db)),
    );
    await expect(slow).rejects.toMatchObject({ code: "HOLDFAST_DEADLINE" });
    const client = new pg.Client({ ...direct });
    await client.connect();
    await expect
      .poll(async () => {
        const found = await client.query(
          "select 1 from pg_stat_activity where query like 'select pg_sleep(60)%'and state = 'active'",
        );
        return found.rowCount;
      })
      .toBe(0);
    await client.end();
  } finally {
    await nodes.close();
  }
});

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import type { MigratingInput } from "./fixtures/migrating.ts";
import { migrateDatabase } from "./migrate.ts";
import { readMigrations } from "./migrate-files.ts";
import type { MigrateOptions } from "./migrate-options.ts";
import { planMigration } from "./migrate-pending.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let folder: string;
let nodes: DatabaseNodes;
let children: ChildProcess[] = [];
let clients: pg.Client[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hf-migrate-"));
  nodes = openDatabaseNodes(await postgres.freshDatabase(), {
    clock: systemClock,
    applicationName: "migrate",
  });
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
  [children, clients] = [[], []];
  await nodes.close();
  await rm(folder, { recursive: true, force: true });
});

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const declared = () =>
  database<never>("migrated", { migrations: pathToFileURL(folder), shards: { count: 4 }, nodes: 2 });
const migrate = (options?: MigrateOptions) => migrateDatabase(declared(), nodes, options);
const shardsOf = (count: number) => Array.from({ length: 4 }, () => count);
/** The number that `text` answers on each shard, as `n`. */
const numbers = (text: string): Promise<(number | undefined)[]> =>
  Promise.all(
    nodes.config.shardMap.shards.map((node, shard) =>
      nodes.primary(node).use(async (session) => {
        session.useSchema(`s${shard}`);
        return (await session.send<{ n: number }>({ text })).rows[0]?.n;
      }),
    ),
  );
/** Somebody else on the first node, whose application is named `reporting`. */
const somebody = async (...statements: string[]) => {
  const client = new pg.Client({ ...nodes.config.nodes[0]?.primary, application_name: "reporting" });
  client.on("error", () => {});
  clients.push(client);
  await client.connect();
  for (const text of statements) await client.query(text);
  return client;
};
/** Another process that migrates the same folder. */
const migrating = () => {
  const file = fileURLToPath(new URL("./fixtures/migrating.ts", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const input: MigratingInput = { config: nodes.config, folder: `${pathToFileURL(folder)}/` };
  child.stdin?.end(JSON.stringify(input));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return { child, lines, ended };
};

describe("locks", () => {
  beforeEach(async () => {
    await write("001_first.sql", "create table link (code text); insert into link values ('secret');");
    await migrate();
    await write("002_next.sql", "create table half (); alter table link add column hits int;");
  });

  test("a file that does not get them lets go, tries again, and goes on when they are free", async () => {
    const holder = await somebody("begin", "select * from s0.link where code <> 'a secret'");
    const waits: number[] = [];
    const { applied } = await migrate({
      lockTimeoutMs: 100,
      onBlocked: ({ attempt }) => {
        waits.push(attempt);
        if (attempt === 2) void holder.query("commit");
      },
    });
    expect(applied).toBe(4);
    expect(waits).toEqual([1, 2]);
    expect(await numbers("select count(hits)::int as n from link")).toEqual(shardsOf(0));
  });

  test("giving up names who holds them, without the values of its statement, and leaves nothing half applied", async () => {
    const holder = await somebody("begin", "select * from s0.link where code <> 'a secret'");
    const error = await migrate({ lockTimeoutMs: 100, lockRetriesMax: 1 }).catch((thrown: unknown) => thrown);
    // The other node is done, and said to be.
    expect(error).toMatchObject({
      code: "HOLDFAST_MIGRATION_INCOMPLETE",
      data: {
        failed: [{ node: "node-1", code: "HOLDFAST_MIGRATION_BLOCKED" }],
        done: [{ node: "node-2", applied: 2 }],
      },
      cause: {
        code: "HOLDFAST_MIGRATION_BLOCKED",
        outcome: "not-applied",
        data: { file: "002_next.sql", shard: 0, attempts: 2, lockTimeoutMs: 100 },
      },
    });
    const { message, cause } = error as Error & { cause: { data: { blockers: unknown[] } } };
    expect(cause.data.blockers).toEqual([
      expect.objectContaining({
        application: "reporting",
        state: "idle in transaction",
        query: "select * from s0.link where code <> $1",
      }),
    ]);
    expect(message).toContain("reporting");
    expect(message).not.toContain("a secret");
    expect(await numbers("select (to_regclass('half') is not null)::int as n")).toEqual([0, 1, 0, 1]);
    await holder.query("commit");
    expect((await migrate()).applied).toBe(2);
    expect(await numbers("select (to_regclass('half') is not null)::int as n")).toEqual(shardsOf(1));
  });

  test("the call's deadline ends it, with an outcome that says that part of it may be done", async () => {
    await somebody("begin", "lock table s0.link");
    const call = new Call(systemClock, { timeoutMs: 500 });
    await expect(inCall(call, () => migrate({ lockTimeoutMs: 60_000 }))).rejects.toMatchObject({
      code: "HOLDFAST_DEADLINE",
      outcome: "unknown",
    });
    call.end();
    await clients[0]?.query("rollback");
    await migrate();
    expect(await numbers("select count(hits)::int as n from link")).toEqual(shardsOf(0));
  });
});

describe("outside a transaction", () => {
  const index = "-- holdfast: no transaction\ncreate index concurrently link_code on link (code);";
  const valid =
    "select coalesce(sum(indisvalid::int), -1)::int as n from pg_index where indexrelid = to_regclass('link_code')";
  beforeEach(async () => {
    await write("001_first.sql", "create table link (code text); insert into link values ('once');");
    await migrate();
    await write("002_index.sql", index);
  });

  test("an index is built beside traffic, with no warning, and recorded", async () => {
    await write("003_after.sql", "create table after ()");
    const { applied, warnings } = await migrate();
    expect({ applied, warnings }).toEqual({ applied: 8, warnings: [] });
    expect(await numbers(valid)).toEqual(shardsOf(1));
    expect((await migrate()).applied).toBe(0);
    expect(await numbers("select count(*)::int as n from holdfast_migration_begun")).toEqual(shardsOf(0));
  });

  test("an invalid index that a killed run has left is dropped and made anew", async () => {
    // CREATE INDEX CONCURRENTLY waits for this transaction, having written the index's row already.
    const old = await somebody("begin", "insert into s0.link values ('old')");
    const { child, ended } = migrating();
    const waiting = async () =>
      (await somebody(`select 1`)) &&
      (
        await (clients.at(-1) as pg.Client).query<{ pid: number }>(
          `select pid from pg_stat_activity where application_name = 'migrating' and query ~ 'concurrently' and wait_event_type = 'Lock'`,
        )
      ).rows[0]?.pid;
    await until(async () => (await waiting()) !== undefined, { what: "the index waits", timeoutMs: 20_000 });
    const pid = await waiting();
    child.kill("SIGKILL");
    await ended;
    // The server's process would wait on without its client; ended, it leaves the index invalid.
    await (await somebody()).query("select pg_terminate_backend($1)", [pid]);
    await until(async () => (await numbers(valid))[0] === 0, { what: "an invalid index is left" });
    expect(
      await numbers("select (select count(*) from holdfast_migration where number = 2)::int as n"),
    ).toEqual([0, expect.any(Number), 0, expect.any(Number)]);
    await old.query("commit");
    await migrate();
    expect(await numbers(valid)).toEqual(shardsOf(1));
    expect(await numbers("select count(*)::int as n from holdfast_migration")).toEqual(shardsOf(2));
  });

  test("a run that was killed between the statement and its record is recorded by the next", async () => {
    const here = await somebody();
    await here.query("create index concurrently link_code on s0.link (code)");
    await here.query(
      "create table s0.holdfast_migration_begun (number int primary key, name text not null, begun_at timestamptz default now()); insert into s0.holdfast_migration_begun values (2, '002_index.sql')",
    );
    expect((await migrate()).applied).toBe(4);
    expect(await numbers(valid)).toEqual(shardsOf(1));
    await write("003_drop.sql", "-- holdfast: no transaction\ndrop index concurrently link_code");
    await here.query("drop index concurrently s0.link_code");
    await here.query("insert into s0.holdfast_migration_begun values (3, '003_drop.sql')");
    await migrate();
    expect(await numbers(valid)).toEqual(shardsOf(-1));
  });

  test("what is left of REINDEX and DETACH is cleared, and VACUUM is run again", async () => {
    await write(
      "003_parts.sql",
      "create table part (n int) partition by list (n); create table part_1 partition of part for values in (1);",
    );
    await write(
      "004_detach.sql",
      "-- holdfast: no transaction\nalter table part detach partition part_1 concurrently",
    );
    await write("005_reindex.sql", "-- holdfast: no transaction\nreindex table concurrently link");
    await write("006_vacuum.sql", "-- holdfast: no transaction\nvacuum (analyze) link");
    expect((await migrate()).applied).toBe(20);
    expect(
      await numbers("select count(*)::int as n from pg_inherits where inhparent = to_regclass('part')"),
    ).toEqual(shardsOf(0));
    expect((await migrate()).applied).toBe(0);
  });

  test("an index that is there already is not taken for this file's own", async () => {
    await (await somebody()).query("create index link_code on s0.link (code)");
    await expect(migrate()).rejects.toMatchObject({
      code: "HOLDFAST_MIGRATION_FAILED",
      message: expect.stringContaining("already exists"),
    });
  });

  test("files that could not be found again half-way are refused, all at once", async () => {
    await write("003_two.sql", `${index} select 1;`);
    await write("004_nameless.sql", "-- holdfast: no transaction\ncreate index concurrently on link (code)");
    await write("005_other.sql", "-- holdfast: no transaction\nupdate link set code = 'x'");
    await write("006_broken.sql", "-- holdfast: no transaction\nselekt");
    await write("007_string.sql", "insert into link values ('holdfast: no transaction'); select 1;");
    const error = (await readMigrations(pathToFileURL(folder)).catch((thrown: unknown) => thrown)) as {
      data: { problems: string[] };
    };
    expect(error.data.problems).toEqual([
      expect.stringContaining(
        "003_two.sql: it says no transaction, so it should hold exactly one statement, not 2",
      ),
      expect.stringContaining(
        "004_nameless.sql: it says no transaction; that is for CREATE INDEX CONCURRENTLY with a name",
      ),
      expect.stringContaining("005_other.sql"),
      expect.stringContaining("006_broken.sql: it says no transaction, and Postgres's parser cannot read it"),
    ]);
  });
});

describe("killed half-way", () => {
  beforeEach(async () => {
    await write("001_a.sql", "create table a (n int); insert into a values (1);");
    await write("002_b.sql", "insert into a values (2);");
    await write("003_c.sql", "insert into a values (3);");
  });
  const whole = async () => {
    expect(await numbers("select count(*)::int as n from a")).toEqual(shardsOf(3));
    expect(await numbers("select sum(n)::int as n from a")).toEqual(shardsOf(6));
    expect((await migrate()).applied).toBe(0);
  };

  test.each([0, 4])("after %i files, the next run does the rest, each once", async (files) => {
    const { child, lines, ended } = migrating();
    let told = -1;
    for await (const _line of lines) {
      told++;
      if (told === files) child.kill("SIGKILL");
    }
    await ended;
    await migrate();
    await whole();
  });

  test("within a file, nothing of it stays", async () => {
    await write("001_a.sql", "create table a (n int);");
    await migrate();
    await write("004_d.sql", "insert into a values (1); lock table a in access exclusive mode;");
    const holder = await somebody("begin", "lock table s0.a in row share mode");
    const { child, ended } = migrating();
    const isWaiting = async () =>
      (
        await holder.query(
          "select 1 from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())",
        )
      ).rowCount === 1;
    await until(isWaiting, { what: "the file waits for the lock", timeoutMs: 20_000 });
    child.kill("SIGKILL");
    await ended;
    await holder.query("commit");
    await migrate();
    await whole();
  });

  test("two processes at once, one of them killed: each file runs once", async () => {
    const first = migrating();
    const second = migrating();
    first.lines.on("line", (line) => {
      if (line !== "ready") first.child.kill("SIGKILL");
    });
    await Promise.all([first.ended, second.ended]);
    await whole();
  });
});

test("a node that is down keeps nobody from the others, and is named", async () => {
  await write("001_first.sql", "create table link (code text);");
  // The first time of all needs every node: only then is it known where the shards are.
  await migrate();
  await write("002_second.sql", "create table click (code text);");
  await postgres.members[1]?.kill();
  const error = await migrate().catch((thrown: unknown) => thrown);
  await postgres.members[1]?.restart();
  expect(error).toMatchObject({
    code: "HOLDFAST_MIGRATION_INCOMPLETE",
    outcome: "unknown",
    data: {
      failed: [{ node: "node-2", applied: 0, code: "HOLDFAST_UNAVAILABLE" }],
      done: [{ node: "node-1", applied: 2 }],
    },
    message: expect.stringMatching(/node-2: .*cannot connect[\s\S]*node-1: done, 2 files applied/),
  });
  expect((await migrate()).applied).toBe(2);
});

test("a plan says what is pending where, what the framework lacks and what would stop others, and does nothing", async () => {
  await write("001_first.sql", "create table link (code text);");
  await write("002_index.sql", "create index on link (code);");
  const first = await planMigration(declared(), nodes);
  expect(first).toMatchObject({
    files: 2,
    shards: 4,
    pending: [
      { file: "001_first.sql", shards: [0, 1, 2, 3] },
      { file: "002_index.sql", shards: [0, 1, 2, 3] },
    ],
    steps: expect.arrayContaining(["marker 1"]),
    warnings: [],
  });
  expect(await planMigration(declared(), nodes)).toEqual(first);
  await migrate();
  expect(await planMigration(declared(), nodes)).toMatchObject({ pending: [], steps: [], warnings: [] });
  await write("003_stop.sql", "alter table link add unique (code);");
  expect(await planMigration(declared(), nodes)).toMatchObject({
    pending: [{ file: "003_stop.sql", shards: [0, 1, 2, 3] }],
    warnings: [{ rule: "add-unique", file: "003_stop.sql", line: 1 }],
  });
  const told: string[] = [];
  await migrate({ onWarning: ({ rule }) => told.push(rule) });
  expect(told).toEqual(["add-unique"]);
});

test("options that do not fit are refused, all at once", async () => {
  await expect(migrate({ lockTimeoutMs: 0, lockRetriesMax: 1.5 })).rejects.toMatchObject({
    code: "HOLDFAST_INPUT_INVALID",
    data: { problems: [expect.stringContaining("lockTimeoutMs"), expect.stringContaining("lockRetriesMax")] },
  });
});

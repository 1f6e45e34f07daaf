import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { keyHashModulo } from "../../placement/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { readMigrations, transactionControl } from "./migrate-files.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let folder: string;
let nodes: DatabaseNodes;

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hf-migrate-"));
  const config = await postgres.freshDatabase();
  nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "migrate" });
});
afterEach(async () => {
  await nodes.close();
  await rm(folder, { recursive: true, force: true });
});

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const declared = (count = 4) =>
  database<never>("migrated", { migrations: pathToFileURL(folder), shards: { count }, nodes: 2 });
const migrate = () => migrateDatabase(declared(), nodes);
/** Answers `text` gives on each shard. */
const onEachShard = async <Row>(text: string): Promise<Row[][]> =>
  Promise.all(
    nodes.config.shardMap.shards.map((node, shard) =>
      nodes.primary(node).use(async (session) => {
        session.useSchema(`s${shard}`);
        return (await session.send<Row>({ text })).rows;
      }),
    ),
  );
const tables = async () =>
  (
    await onEachShard<{ t: string }>(
      "select table_name as t from information_schema.tables where table_schema = current_schema() and table_name not like 'holdfast%' order by 1",
    )
  ).map((rows) => rows.map((row) => row.t).join(" "));

describe("migrations", () => {
  test("run in order on each shard, each once, and tell how they get on", async () => {
    await write(
      "001_first.sql",
      "create table link (code text primary key); insert into link values ('once');",
    );
    await write("002_second.sql", "alter table link add column hits int not null default 0;");
    await write("notes.txt", "not SQL");
    const told: string[] = [];
    const first = await migrateDatabase(declared(), nodes, {
      onProgress: ({ shard, file }) => told.push(`${shard} ${file}`),
    });
    expect(first).toEqual({ files: 2, shards: 4, applied: 8, warnings: [] });
    expect(told.filter((line) => line.startsWith("3 "))).toEqual(["3 001_first.sql", "3 002_second.sql"]);
    expect(told).toHaveLength(8);
    expect(await migrate()).toEqual({ files: 2, shards: 4, applied: 0, warnings: [] });
    await write("003_third.sql", "create table tag (name text)");
    expect(await migrate()).toEqual({ files: 3, shards: 4, applied: 4, warnings: [] });
    expect(await onEachShard("select code, hits from link")).toEqual(
      Array.from({ length: 4 }, () => [{ code: "once", hits: 0 }]),
    );
  });

  test("started by many processes at once run once", async () => {
    await write("001_first.sql", "create table link (code text); insert into link values ('once');");
    const others = [1, 2, 3].map(() =>
      openDatabaseNodes(nodes.config, { clock: systemClock, applicationName: "other" }),
    );
    const done = await Promise.all([nodes, ...others].map((each) => migrateDatabase(declared(), each)));
    expect(done.reduce((sum, { applied }) => sum + applied, 0)).toBe(4);
    expect(await onEachShard("select count(*)::int as n from link")).toEqual(
      Array.from({ length: 4 }, () => [{ n: 1 }]),
    );
    await Promise.all(others.map((each) => each.close()));
  });

  test("that fail name file, shard and line, leave nothing of the file, and go on once corrected", async () => {
    await write("001_first.sql", "create table link (code text);");
    await write(
      "002_broken.sql",
      "create table tag (name text);\n-- é\n\nalter table lnk add column hits int;\n",
    );
    await expect(migrate()).rejects.toMatchObject({
      code: "HOLDFAST_MIGRATION_FAILED",
      message: expect.stringMatching(
        /002_broken\.sql failed on shard \d[\s\S]*relation "lnk" does not exist/,
      ),
      data: { file: "002_broken.sql", sqlstate: "42P01" },
    });
    expect((await tables()).filter((list) => list.includes("tag"))).toEqual([]);
    await write("002_broken.sql", "create table tag (name text);\nselekt 1;\n");
    await expect(migrate()).rejects.toMatchObject({
      data: { line: 2, sqlstate: "42601" },
      message: expect.stringContaining("line 2: selekt 1;"),
    });
    await write("002_broken.sql", "create table tag (name text);");
    await migrate();
    expect(await tables()).toEqual(Array.from({ length: 4 }, () => "link tag"));
  });

  test("that have changed, are gone or were renamed since are refused", async () => {
    await write("001_first.sql", "create table link (code text);");
    await migrate();
    await write("001_first.sql", "create table link (code text);\r\n".trim());
    await migrate();
    await write("001_first.sql", "create table link (code text, more int);");
    await expect(migrate()).rejects.toMatchObject({
      code: "HOLDFAST_MIGRATION_CHANGED",
      data: { file: "001_first.sql" },
      message: expect.stringContaining("has changed"),
    });
    await rm(join(folder, "001_first.sql"));
    await expect(migrate()).rejects.toMatchObject({ message: expect.stringContaining("is gone") });
    await write("001_renamed.sql", "create table link (code text);");
    await expect(migrate()).rejects.toMatchObject({ code: "HOLDFAST_MIGRATION_CHANGED" });
  });

  test("with wrong names, gaps, duplicates or their own transactions are refused, all at once", async () => {
    await write("first.sql", "");
    await write("001_a.sql", "begin; create table a (); commit;");
    await write("001_b.sql", "");
    await write("003_c.sql", "");
    const error = await migrate().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "HOLDFAST_MIGRATION_INVALID", outcome: "not-applied" });
    expect((error as { data: { problems: string[] } }).data.problems).toEqual([
      expect.stringContaining('001_a.sql: leave out "begin"'),
      expect.stringContaining("first.sql: name it"),
      expect.stringContaining("001_a.sql and 001_b.sql have the same number"),
      expect.stringContaining("003_c.sql should follow 001_b.sql"),
    ]);
    expect(await tables()).toEqual(["", "", "", ""]);
  });

  test("in a folder that is not there are refused", async () => {
    await expect(readMigrations(new URL("gone/", pathToFileURL(`${folder}/`)))).rejects.toMatchObject({
      code: "HOLDFAST_MIGRATION_INVALID",
    });
  });

  test("may set another search path without misleading the next", async () => {
    await write(
      "001_dump.sql",
      "create table a (); set search_path to public; select set_config('search_path', '', false);",
    );
    await write("002_next.sql", "create table b ();");
    await migrate();
    expect(await tables()).toEqual(Array.from({ length: 4 }, () => "a b"));
  });

  test("find transaction control only where it is a statement", () => {
    expect(transactionControl("create table t ();\n  COMMIT work ;")).toBe("commit work");
    expect(transactionControl("select 1; start transaction read only")).toBe("start transaction read only");
    expect(transactionControl("select 1; end")).toBe("end");
    expect(
      transactionControl(
        "-- commit;\n/* rollback; */ select ';commit;'; create function f() returns int language plpgsql as $b$ begin return 1; end; $b$; create table beginning (\"commit;\" int)",
      ),
    ).toBeUndefined();
  });
});

test("a number of shards that does not fit the shard map is refused", async () => {
  const refused = { code: "HOLDFAST_OPTIONS_INVALID", message: expect.stringContaining("shards") };
  await expect(migrateDatabase(declared(8), nodes)).rejects.toMatchObject(refused);
  expect(() => postgresDatabase(declared(8), nodes, systemClock)).toThrow(expect.objectContaining(refused));
});

test("holds_key refuses a row on a shard that its key does not belong to", async () => {
  await write(
    "001_t.sql",
    "create table t (code text primary key, constraint lives_here check (holds_key(code)));",
  );
  await write("002_n.sql", "create table n (id bigint primary key check (holds_key(id)));");
  await migrate();
  const port = postgresDatabase(declared(), nodes, systemClock);
  for (let i = 0; i < 40; i++) {
    const code = `key-${i}`;
    await port.write(port.shardOf(code), (tx) => tx.insertInto("t").values({ code }).execute(), {});
    await port.write(port.shardOf(i), (tx) => tx.insertInto("n").values({ id: i }).execute(), {});
  }
  const elsewhere = (keyHashModulo("stray", 4) + 1) % 4;
  await expect(
    port.write(elsewhere, (tx) => tx.insertInto("t").values({ code: "stray" }).execute(), {}),
  ).rejects.toMatchObject({
    code: "HOLDFAST_SQL_CONFLICT",
    data: { sqlstate: "23514", constraint: "lives_here" },
  });
});

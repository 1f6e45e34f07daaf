/** A change feed on a real server: what is told of what was committed, once and in order. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import { openFeed, type Told } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const ofKey = (all: readonly Told[], id: string) =>
  all.filter((one) => "key" in one && (one.key as { id?: string }).id === id);

test("inserts, updates and deletes are told with their key, row, shard, place and time, in order per key", async () => {
  await using open = await openFeed(await postgres.freshDatabase());
  await open.write("before", "insert into item values ('before')");
  await open.relay();
  await open.write("a", "insert into item values ('a', 1, 'x')");
  await open.write("a", "update item set n = 2 where id = 'a'");
  await open.write("a", "delete from item where id = 'a'");
  await open.write("b", "insert into item values ('b', 7, null)");
  const all = await open.told((told) => told.length >= 4);
  expect(ofKey(all, "a")).toMatchObject([
    { op: "insert", table: "item", key: { id: "a" }, before: null, after: { id: "a", n: 1, body: "x" } },
    { op: "update", before: null, after: { id: "a", n: 2, body: "x" }, unchanged: [] },
    { op: "delete", before: { id: "a" }, after: null },
  ]);
  expect(ofKey(all, "b")).toMatchObject([
    { op: "insert", shard: open.shardOf("b"), node: "node-1", after: { n: 7, body: null } },
  ]);
  for (const one of all) {
    expect(one.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(one.at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(one.transaction).toMatch(/^\d+$/);
  }
  expect(all).toHaveLength(4);
});

test("what a table had before comes first with `from: snapshot`, at one point, and then what is committed behind it", async () => {
  await using open = await openFeed(await postgres.freshDatabase(), { from: "snapshot", partitions: 3 });
  const keys = Array.from({ length: 300 }, (_, n) => `k${n}`);
  for (let shard = 0; shard < 4; shard++) {
    const own = keys.filter((key) => open.shardOf(key) === shard).map((key) => `('${key}', 1)`);
    await open.on(shard, `insert into item (id, n) values ${own.join(", ")}`);
  }
  let busy = true;
  const writer = (async () => {
    for (let n = 2; busy; n++) {
      const key = keys[n % keys.length] as string;
      await open.write(key, `update item set n = n + 1 where id = '${key}'`);
    }
  })();
  await open.relay();
  await open.told(
    (all) => all.filter(({ op }) => op === "snapshot-end").length === 12,
    "the end of the rows",
  );
  busy = false;
  await writer;
  await open.write("last", "insert into item values ('last')");
  const all = await open.told((told) => ofKey(told, "last").length > 0);
  expect(all.filter(({ op }) => op === "snapshot")).toHaveLength(300);
  expect(all.filter(({ op }) => op === "gap")).toEqual([]);
  for (const key of keys) {
    const own = ofKey(all, key);
    expect(
      own.map(({ op }) => op),
      key,
    ).toEqual(own.map((_, n) => (n === 0 ? "snapshot" : "update")));
    // Neither behind the row that was told nor ahead of it: each value once, one after another.
    const values = own.map((one) => ("after" in one ? Number(one.after?.n) : 0));
    expect(values, key).toEqual(values.map((_, n) => (values[0] ?? 0) + n));
  }
});

test("values look as a read of the table sends them: what JSON has no word for is text", async () => {
  const columns: Readonly<Record<string, readonly [type: string, literal: string]>> = {
    small: ["smallint", "-7"],
    int: ["int", "2147483647"],
    big: ["bigint", "9007199254740993"],
    exact: ["numeric", "12345678901234567890.123456789"],
    not_a_number: ["numeric", "'NaN'"],
    real: ["real", "1.5"],
    double: ["double precision", "0.1"],
    endless: ["double precision", "'-Infinity'"],
    yes: ["boolean", "true"],
    words: ["text", "E'quotes \" and \\\\ and 漢字 🪢 \\u0001'"],
    empty: ["text", "''"],
    nothing: ["text", "null"],
    padded: ["char(4)", "'ab'"],
    bytes: ["bytea", "'\\xdeadbeef00'"],
    day: ["date", "'2024-02-29'"],
    never: ["timestamptz", "'infinity'"],
    moment: ["timestamptz", "'2024-02-29 12:34:56.789+02'"],
    span: ["interval", "'1 day 02:03:04'"],
    id: ["uuid", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'"],
    doc: ["jsonb", `'{"a": [1, null, {"b": "c"}], "__proto__": 1}'`],
    plain: ["json", `'{"n": 1e2}'`],
    list: ["int[]", "'{1,2,null}'"],
    names: ["text[]", `'{"a b",c}'`],
    moments: ["timestamptz[]", "'{2024-01-01 00:00:00+00}'"],
    address: ["inet", "'10.0.0.1/8'"],
    mood: ["mood", "'glad'"],
    cents: ["cents", "5"],
    point: ["point", "'(1,2)'"],
    range: ["int4range", "'[1,5)'"],
    upper: ["text generated always as (upper(words)) stored", ""],
  };
  const list = Object.entries(columns).map(([name, [type]]) => `"${name}" ${type}`);
  await using open = await openFeed(await postgres.freshDatabase(), {
    table: "thing",
    tables: `create type mood as enum ('glad', 'sad'); create domain cents as bigint check (value >= 0);
      create table thing (code text primary key, ${list.join(", ")});`,
  });
  await open.relay();
  const given = Object.entries(columns).filter(([, [, literal]]) => literal !== "");
  const names = given.map(([name]) => `"${name}"`).join(", ");
  await open.write(
    "x",
    `insert into thing (code, ${names}) values ('x', ${given.map(([, [, literal]]) => literal).join(", ")})`,
  );
  const [told] = await open.told((all) => all.length > 0);
  const rows = await open.read("x", "select * from thing");
  const after = told && "after" in told ? told.after : undefined;
  // Where JSON keeps what the value is, the feed has what JSON.stringify makes of a row that was read.
  const asRead = JSON.parse(JSON.stringify(rows[0]));
  const { bytes: _bytes, endless: _endless, never: _never, ...alike } = asRead;
  expect(after).toMatchObject(alike);
  expect(after).toMatchObject({
    big: "9007199254740993",
    exact: "12345678901234567890.123456789",
    not_a_number: "NaN",
    endless: "-Infinity",
    never: "infinity",
    day: "2024-02-29",
    moment: "2024-02-29T10:34:56.789Z",
    bytes: Buffer.from("deadbeef00", "hex").toString("base64"),
    moments: ["2024-01-01T00:00:00.000Z"],
    cents: "5",
    nothing: null,
    list: [1, 2, null],
    upper: expect.stringContaining("QUOTES"),
  });
  expect(Object.keys(after ?? {})).toEqual(["code", ...Object.keys(columns)]);
});

test("a key that changes is a delete and an insert; a truncate is told to every partition, in its place", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 2 });
  await open.relay();
  await open.on(0, "insert into item values ('a', 1), ('b', 2)");
  await open.on(0, "update item set id = 'c' where id = 'a'");
  await open.on(0, "truncate item");
  await open.on(0, "insert into item values ('d', 4)");
  const all = await open.told((told) => ofKey(told, "d").length > 0);
  expect(ofKey(all, "a").map(({ op }) => op)).toEqual(["insert", "delete"]);
  expect(ofKey(all, "c")).toMatchObject([{ op: "insert", after: { id: "c", n: 1 } }]);
  const truncates = all.filter(({ op }) => op === "truncate");
  expect(truncates).toHaveLength(2);
  expect(truncates[0]).toMatchObject({ shard: 0, table: "item", node: "node-1" });
});

test("a large value that was not touched is named and left out; with REPLICA IDENTITY FULL it is there, and the old row too", async () => {
  const large = "repeat(md5(random()::text), 400)";
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), {
    tables:
      "create table item (id text primary key, n int, body text); alter table item alter body set storage external;",
  });
  await open.relay();
  await open.on(0, `insert into item values ('a', 1, ${large})`);
  await open.on(0, "update item set n = 2");
  await open.on(0, "alter table item replica identity full");
  await open.on(0, "update item set n = 3");
  await open.on(0, "delete from item");
  const all = await open.told((told) => told.length >= 4);
  const [first, second, third, fourth] = all as Extract<Told, { key: unknown }>[];
  const body = first?.after?.body;
  expect(body).toHaveLength(12_800);
  expect(second).toMatchObject({ op: "update", before: null, after: { id: "a", n: 2 }, unchanged: ["body"] });
  expect(second?.after).not.toHaveProperty("body");
  expect(third).toMatchObject({ before: { id: "a", n: 2, body }, after: { n: 3, body }, unchanged: [] });
  expect(third?.key).toEqual({ id: "a" });
  expect(fourth).toMatchObject({ op: "delete", key: { id: "a" }, before: { n: 3, body }, after: null });
});

test("rows of several megabytes, and a transaction of more changes than fit into one append, come whole and in order", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 1 });
  await open.relay();
  await open.on(0, "insert into item select 'r' || n, n from generate_series(1, 20000) n");
  await open.on(0, "insert into item values ('large', 0, repeat('x', 12000000))");
  await open.on(0, "insert into item values ('end')");
  const all = await open.told((told) => ofKey(told, "end").length > 0);
  expect(all).toHaveLength(20_002);
  expect(all.slice(0, 20_000).map((one) => ("after" in one ? one.after?.n : undefined))).toEqual(
    Array.from({ length: 20_000 }, (_, n) => n + 1),
  );
  const [large] = ofKey(all, "large");
  expect(large && "after" in large ? String(large.after?.body) : "").toHaveLength(12_000_000);
});

test("a prepared transaction is told when it is committed, and holds a beginning up, which is said", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }));
  await open.on(0, "begin;;insert into item values ('early');;prepare transaction 'early'");
  const relaying = open.relay();
  await open.event(({ kind, ...event }) => kind === "trouble" && /early/.test(JSON.stringify(event)));
  await open.on(0, "commit prepared 'early'");
  await relaying;
  await open.on(0, "begin;;insert into item values ('two');;prepare transaction 'two'");
  await open.on(0, "insert into item values ('one')");
  await open.told((told) => ofKey(told, "one").length > 0);
  await open.on(0, "commit prepared 'two'");
  const all = await open.told((told) => ofKey(told, "two").length > 0);
  expect(all.map((one) => ("key" in one ? one.key.id : one.op))).toEqual(["one", "two"]);
});

test("what stands in the way is told all at once, and the feed begins once it is put right", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 2 }), {
    tables: "create table item (id text, n int);",
  });
  const relaying = open.relay();
  const refused = await open.event(({ kind }) => kind === "trouble");
  expect(JSON.stringify(refused)).toMatch(/cannot be read.*s0, s1: no replica identity; add a primary key/);
  for (const shard of [0, 1]) await open.on(shard, "alter table item add primary key (id)");
  await relaying;
  await open.write("a", "insert into item values ('a')");
  expect(await open.told((told) => told.length > 0)).toMatchObject([{ op: "insert", key: { id: "a" } }]);
});

test("a table that is not there is named, with those that are", async () => {
  await using open = await openFeed(await postgres.freshDatabase(), { table: "itme" });
  void open.relay();
  const refused = await open.event(({ kind }) => kind === "trouble");
  expect(JSON.stringify(refused)).toMatch(/no shard has a table \\"itme\\"; there are item/);
});

test("a table that a later migration makes anew is told from its first row on, rows of the migration included", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 2 }));
  await open.relay();
  await open.addMigration(
    "drop table item; create table item (id text primary key, n int); insert into item values ('of-migration', 1);",
  );
  await open.write("a", "insert into item values ('a', 2)");
  const all = await open.told(
    (told) => ofKey(told, "a").length > 0 && ofKey(told, "of-migration").length >= 2,
  );
  expect(
    ofKey(all, "of-migration")
      .map((one) => [one.op, one.shard])
      .sort(),
  ).toEqual([
    ["snapshot", 0],
    ["snapshot", 1],
  ]);
});

/** Counts, sums and copies that the database keeps right: every way to change a row, concurrency, and bad input. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

const tables = `
create table author (id int primary key, name text not null);
create table post (
  id int primary key, author_id int references author on update cascade on delete set null,
  author_name text, like_count int not null default 0, points numeric not null default 0,
  reply_to int references post on delete cascade, reply_count bigint not null default 0
);
create table post_like (post_id int not null references post on update cascade on delete cascade, who text, points int,
  primary key (post_id, who));
select holdfast.keep_count('post', 'like_count', 'post_like', 'post_id');
select holdfast.keep_sum('post', 'points', 'post_like', 'post_id', 'points');
select holdfast.keep_count('post', 'reply_count', 'post', 'reply_to');
select holdfast.keep_copy('post', 'author_name', 'author_id', 'author', 'name');
`;

let postgres: TestPostgres;
let folder: string;
let client: pg.Client;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 1, settings: { deadlock_timeout: "20ms" } });
  folder = await mkdtemp(join(tmpdir(), "hf-kept-"));
  await writeFile(join(folder, "001_tables.sql"), tables);
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "kept" });
  const declaration = database("kept", { migrations: pathToFileURL(`${folder}/`), shards: { count: 1 } });
  await migrateDatabase(declaration, nodes);
  await nodes.close();
  client = await connect();
});
afterAll(async () => {
  await client?.end();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => client.query("truncate author, post, post_like"));

async function connect(): Promise<pg.Client> {
  const one = new pg.Client({ ...postgres.config.nodes[0]?.primary, options: "-c search_path=s0,public" });
  await one.connect();
  return one;
}
const drift = async () => (await client.query("select * from holdfast.verify_kept()")).rows;
const posts = async () =>
  (
    await client.query<{ id: number; likes: number; points: number; replies: number; name: string | null }>(
      "select id, like_count likes, points::float points, reply_count::int replies, author_name name from post order by id",
    )
  ).rows;

test("triggers of others, with arguments of their own or none, are passed by", async () => {
  await client.query(`create table other (id int primary key, n int not null default 0, other_id int references other);
    create function others() returns trigger language plpgsql as 'begin return new; end';
    create trigger bare before insert on other for each row execute function others();
    create trigger named before update on other for each row execute function others('no json')`);
  try {
    await client.query("select holdfast.keep_count('other', 'n', 'other', 'other_id')");
    expect(await drift()).toEqual([]);
  } finally {
    await client.query("drop table other; drop function others()");
  }
});

test("insert, update, upsert, merge, copy by key change, delete and cascades", async () => {
  await client.query("insert into author values (1, 'ada'), (2, 'bob')");
  await client.query("insert into post (id, author_id, like_count) values (1, 1, 99), (2, 2, 0)");
  expect(await posts()).toEqual([
    { id: 1, likes: 0, points: 0, replies: 0, name: "ada" },
    { id: 2, likes: 0, points: 0, replies: 0, name: "bob" },
  ]);
  await client.query(
    "insert into post_like select p, w::text, w from generate_series(1, 2) p, generate_series(1, 3) w",
  );
  await client.query("update post_like set post_id = 2, who = who || 'x' where post_id = 1 and who = '1'");
  await client.query("update post_like set points = points * 10 where post_id = 2");
  await client.query(
    "insert into post_like values (1, '2', 7), (1, 'new', 1) on conflict (post_id, who) do update set points = excluded.points",
  );
  await client.query(
    `merge into post_like l using (values (2, '2'), (2, 'merged')) v(post_id, who) on l.post_id = v.post_id and l.who = v.who
     when matched then delete when not matched then insert values (v.post_id, v.who, null)`,
  );
  expect(await posts()).toEqual([
    { id: 1, likes: 3, points: 7 + 3 + 1, replies: 0, name: "ada" },
    { id: 2, likes: 4, points: 10 + 10 + 30, replies: 0, name: "bob" },
  ]);
  await client.query("update author set name = 'Ada' where id = 1");
  await client.query("update author set id = 20, name = 'Bob' where id = 2");
  await client.query("update post set author_name = 'mallory' where id = 1");
  await client.query("update post set id = 30 where id = 2");
  await client.query("insert into post (id, reply_to) values (3, 1), (4, 3), (5, 1)");
  expect(await posts()).toEqual([
    { id: 1, likes: 3, points: 11, replies: 2, name: "Ada" },
    { id: 3, likes: 0, points: 0, replies: 1, name: null },
    { id: 4, likes: 0, points: 0, replies: 0, name: null },
    { id: 5, likes: 0, points: 0, replies: 0, name: null },
    { id: 30, likes: 4, points: 50, replies: 0, name: "Bob" },
  ]);
  await client.query("delete from author where id = 1");
  await client.query("delete from post where id = 3");
  expect(await posts()).toEqual([
    { id: 1, likes: 3, points: 11, replies: 1, name: null },
    { id: 5, likes: 0, points: 0, replies: 0, name: null },
    { id: 30, likes: 4, points: 50, replies: 0, name: "Bob" },
  ]);
  await client.query("begin; delete from post_like; rollback");
  expect(await drift()).toEqual([]);
  await client.query("truncate post_like");
  expect((await posts()).map(({ likes, points }) => [likes, points])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  expect(await drift()).toEqual([]);
});

test("a change of many rows costs one update for each row that is pointed at, and none where nothing changed", async () => {
  await client.query("insert into post (id) values (1), (2)");
  const versions = async () =>
    (await client.query<{ x: string }>("select xmin || ' ' || ctid as x from post order by id")).rows.map(
      (row) => row.x,
    );
  await client.query("select pg_stat_force_next_flush()");
  const updates = async () => {
    await client.query("select pg_stat_force_next_flush()");
    return Number(
      (await client.query("select n_tup_upd from pg_stat_user_tables where relid = 's0.post'::regclass"))
        .rows[0].n_tup_upd,
    );
  };
  const before = await updates();
  await client.query("insert into post_like select 1, n::text, 0 from generate_series(1, 1000) n");
  expect((await updates()) - before).toBe(1);
  const seen = await versions();
  await client.query("update post_like set who = who || 'x'");
  expect(await versions()).toEqual(seen);
});

test("what is kept cannot be written by hand, and says so", async () => {
  await client.query("insert into post (id) values (1)");
  await expect(client.query("update post set like_count = 5 where id = 1")).rejects.toThrow(
    "post.like_count is kept by holdfast: change the rows of post_like instead",
  );
  await client.query("update post set like_count = like_count, author_id = null where id = 1");
});

test("drift is found with its key, repaired, and gone", async () => {
  await client.query("insert into author values (1, 'ada')");
  await client.query("insert into post (id, author_id) values (1, 1), (2, 1)");
  await client.query("insert into post_like values (1, 'a', 5)");
  await client.query("set session_replication_role = replica");
  await client.query(
    "update post set like_count = 7, points = 1, reply_count = 3, author_name = 'eve' where id = 1",
  );
  await client.query("set session_replication_role = origin");
  expect(await drift()).toEqual([
    {
      kind: "copy",
      table_name: "post",
      column_name: "author_name",
      key: { id: 1 },
      kept: "eve",
      expected: "ada",
    },
    {
      kind: "count",
      table_name: "post",
      column_name: "like_count",
      key: { id: 1 },
      kept: "7",
      expected: "1",
    },
    {
      kind: "count",
      table_name: "post",
      column_name: "reply_count",
      key: { id: 1 },
      kept: "3",
      expected: "0",
    },
    { kind: "sum", table_name: "post", column_name: "points", key: { id: 1 }, kept: "1", expected: "5" },
  ]);
  expect((await client.query("select holdfast.repair_kept() as n")).rows).toEqual([{ n: "4" }]);
  expect(await drift()).toEqual([]);
  expect((await client.query("select holdfast.repair_kept() as n")).rows).toEqual([{ n: "0" }]);
  await expect(client.query("update post set like_count = 5 where id = 1")).rejects.toThrow(
    "is kept by holdfast",
  );
});

type Step =
  | { readonly kind: "like"; readonly posts: readonly number[]; readonly points: number }
  | { readonly kind: "move"; readonly from: number; readonly to: number }
  | { readonly kind: "unlike" | "drop" | "rename"; readonly post: number };
const post = fc.integer({ min: 1, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("like" as const),
    posts: fc.array(post, { minLength: 1, maxLength: 6 }),
    points: fc.integer({ min: -5, max: 5 }),
  }),
  fc.record({ kind: fc.constant("move" as const), from: post, to: post }),
  fc.record({ kind: fc.constantFrom("unlike" as const, "drop" as const, "rename" as const), post }),
);

async function take(one: pg.Client, todo: Step, unique: () => number): Promise<void> {
  switch (todo.kind) {
    case "like":
      await one.query(
        "insert into post_like select p.id, $2 || '-' || n, $3 from unnest($1::int[]) with ordinality t(id, n) join post p on p.id = t.id",
        [todo.posts, `w${unique()}`, todo.points],
      );
      return;
    case "move":
      await one.query(
        "update post_like set post_id = $2 where post_id = $1 and exists (select from post where id = $2)",
        [todo.from, todo.to],
      );
      return;
    case "unlike":
      await one.query("delete from post_like where post_id = $1", [todo.post]);
      return;
    case "drop":
      await one.query("delete from post where id = $1", [todo.post]);
      await one.query("insert into post (id, author_id) values ($1, $1) on conflict do nothing", [todo.post]);
      return;
    case "rename":
      await one.query("update author set name = name || 'x' where id = $1", [todo.post]);
  }
}
const fill = () =>
  client.query(`truncate author, post, post_like; insert into author select n, 'a' from generate_series(1, 4) n;
    insert into post (id, author_id) select n, n from generate_series(1, 4) n`);

test("after any run of changes, each committed or rolled back, totals are what counting says", async () => {
  let made = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 25 }), async (steps) => {
      await fill();
      for (const [todo, kept] of steps) {
        await client.query("begin");
        await take(client, todo, () => ++made);
        await client.query(kept ? "commit" : "rollback");
      }
      expect(await drift()).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test("with four writers at once nothing drifts: what a deadlock or a gone row refuses is rolled back whole", async () => {
  await fill();
  const writers = await Promise.all([1, 2, 3, 4].map(connect));
  const steps = fc.sample(fc.array(step, { minLength: 60, maxLength: 60 }), { numRuns: 4, seed: 7 });
  let made = 0;
  let committed = 0;
  await Promise.all(
    writers.map(async (one, index) => {
      for (const todo of steps[index] ?? []) {
        try {
          await one.query("begin");
          await take(one, todo, () => ++made);
          await one.query("commit");
          committed++;
        } catch (error) {
          expect(["40P01", "23503", "23505"]).toContain((error as { code?: string }).code);
          await one.query("rollback");
        }
      }
    }),
  );
  await Promise.all(writers.map((one) => one.end()));
  expect(committed).toBeGreaterThan(120);
  expect(await drift()).toEqual([]);
});

test("bulk likes of the same posts in opposite orders wait for each other, and do not deadlock", async () => {
  await fill();
  const writers = await Promise.all([1, 2, 3, 4].map(connect));
  await Promise.all(
    writers.map(async (one, index) => {
      for (let round = 0; round < 25; round++) {
        const order = index % 2 ? "desc" : "asc";
        await one.query(
          `insert into post_like select id, $1, 1 from (select id from post order by id ${order}) p`,
          [`${index}-${round}`],
        );
      }
    }),
  );
  await Promise.all(writers.map((one) => one.end()));
  expect((await posts()).map(({ likes }) => likes)).toEqual([100, 100, 100, 100]);
});

describe("bad input", () => {
  const refused = async (sql: string, ...parts: string[]) => {
    await client.query("begin");
    const error = await client.query(sql).then(
      () => undefined,
      (reason: Error) => reason,
    );
    await client.query("rollback");
    for (const part of parts) expect(error?.message).toContain(part);
  };
  test("every problem is told at once, by name", async () => {
    await client.query("create table if not exists loose (id int primary key, post_id int, n int, t text)");
    await refused(
      "select holdfast.keep_count('nowhere', 'n', 'post_like', 'post_id')",
      "no plain table nowhere in schema s0",
    );
    await refused(
      "select holdfast.keep_sum('loose', 'n', 'post_like', 'post_id', 'who')",
      "3 problems",
      "exactly one foreign key, not deferrable, from post_like (post_id) to loose",
      "loose.n should be not null default 0",
      "post_like.who should be smallint, int, bigint or numeric",
    );
    await refused(
      "select holdfast.keep_copy('post', 'like_count', 'author_id', 'author', 'name')",
      "should be of the type of author.name: text",
      "kept already",
    );
    await refused("select holdfast.unkeep('post', 'id')", "post.id is not kept in schema s0");
  });
  test("SQL in a name is a name, and refused", async () => {
    for (const evil of [
      "post; drop table post",
      'post"; drop table post; --',
      "post' || pg_sleep(9)",
      "%s",
      "@schema",
      "",
    ]) {
      const quoted = pg.escapeLiteral(evil);
      await refused(
        `select holdfast.keep_count(${quoted}, ${quoted}, ${quoted}, ${quoted})`,
        "is no name for a table or column",
      );
      await refused(
        `select holdfast.keep_copy(${quoted}, ${quoted}, ${quoted}, ${quoted}, ${quoted})`,
        "is no name for a table or column",
      );
      await refused(`select holdfast.unkeep(${quoted}, ${quoted})`, "is not kept");
    }
    expect(await drift()).toEqual([]);
  });
  test("unkeep ends it, and it can be kept again over rows that are there", async () => {
    await client.query("begin");
    await client.query("insert into post (id) values (1); insert into post_like values (1, 'a', 1)");
    await client.query("select holdfast.unkeep('post', 'like_count')");
    await client.query("insert into post_like values (1, 'b', 1)");
    expect((await posts())[0]?.likes).toBe(1);
    await client.query("select holdfast.keep_count('post', 'like_count', 'post_like', 'post_id')");
    await client.query("select holdfast.keep_count('post', 'like_count', 'post_like', 'post_id')");
    expect((await posts())[0]?.likes).toBe(2);
    await client.query("rollback");
  });
});

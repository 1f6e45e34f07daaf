/** What development is warned of: the pure steps beside their twins, and a real server that is asked for plans. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, inCall } from "../../../call/index.ts";
import { manualClock, systemClock } from "../../../clock/index.ts";
import { type Database, database, inWorld, World } from "../../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import { postgresDatabase } from "../database.ts";
import { migrateDatabase } from "../migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../nodes.ts";
import { placeIn } from "./code-place.ts";
import { type DevelopmentWatch, developmentWatch } from "./development-watch.ts";
import { filterConditions } from "./filter-conditions.ts";
import { judgeHeat } from "./heat-step.ts";
import { planScans } from "./plan-scans.ts";
import { proposeIndexes } from "./propose-index.ts";
import { Repeats } from "./repeats.ts";
import { SpaceSaving } from "./space-saving.ts";
import { statementShape } from "./statement-shape.ts";
import { clipped, type DevelopmentWarning } from "./warning.ts";

describe("pure steps", () => {
  test("the most frequent keys are bracketed as counting each of them says", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 }).map((n) => `k${Math.floor(n ** 2 / 30)}`)),
        fc.integer({ min: 1, max: 12 }),
        (stream, capacity) => {
          const counted = new SpaceSaving(capacity);
          const twin = new Map<string, number>();
          for (const key of stream) {
            counted.add(key);
            twin.set(key, (twin.get(key) ?? 0) + 1);
          }
          const top = counted.top();
          expect(top.length).toBeLessThanOrEqual(capacity);
          expect(top.reduce((sum, { count }) => sum + count, 0)).toBe(stream.length);
          for (const { key, count, error } of top) {
            expect(count).toBeGreaterThanOrEqual(twin.get(key) ?? 0);
            expect(count - error).toBeLessThanOrEqual(twin.get(key) ?? 0);
          }
          for (const [key, count] of twin)
            if (count > stream.length / capacity) expect(top.map((one) => one.key)).toContain(key);
        },
      ),
    );
  });

  test("hot is what has more than its share; a shard only without its hot keys, and of few shards only what is odd", () => {
    const rule = { samplesMin: 100, keyShare: 0.25, shardShare: 0.4 };
    const window = (samples: number, key: number, shard: number, shardCount = 32) => ({
      samples,
      keys: [{ key: "k", shard: 1, count: key, error: 0 }],
      shards: new Map([[1, shard]]),
      shardCount,
    });
    expect(judgeHeat(window(99, 99, 99), rule)).toEqual({ keys: [], shards: [] });
    expect(judgeHeat(window(100, 30, 60), rule)).toEqual({
      keys: [{ key: "k", shard: 1, share: 0.3 }],
      shards: [],
    });
    expect(judgeHeat(window(100, 20, 60), rule)).toEqual({ keys: [], shards: [{ shard: 1, share: 0.6 }] });
    expect(judgeHeat(window(100, 20, 60, 2), rule)).toEqual({ keys: [], shards: [] });
    expect(
      judgeHeat({ ...window(100, 0, 0), keys: [{ key: "k", shard: 1, count: 90, error: 80 }] }, rule).keys,
    ).toEqual([]);
  });

  test("a shape has no literal, and is the same for lists of any length", () => {
    for (const [text, shape] of [
      [`select "a" from "t" where "id" in ($1, $2, $3)`, `select "a" from "t" where "id" in (…)`],
      [
        `select  a -- secret\n from t where b = 'it''s' and c = 12.5e3`,
        "select a from t where b = ? and c = ?",
      ],
      ["insert into t values ($1, 'a'), ($2, 'b')", "insert into t values (…), …"],
      [
        `select $tag$secret$tag$, E'\\'secret', U&'secret', x'00' /* secret */ from t1`,
        "select ?, ?, ?, ? from t1",
      ],
      [`select "it's", 'unfinished`, `select "it's", ?`],
      [
        "select a::text, b->>'city', $1::int[] from t where a2 = -1",
        "select a::text, b->>?, $::int[] from t where a2 = -?",
      ],
    ])
      expect(statementShape(text as string)).toBe(shape);
  });

  test("no literal of any kind survives in a shape", () => {
    const word = fc.constantFrom("select", "x", '"y"', "=", "(", ")", ",", "$1", "::", "--c\n", " ");
    const literal = fc
      .stringMatching(/^[ -~]{0,12}$/)
      .chain((text) =>
        fc.constantFrom(
          `'SECRET${text.replaceAll("'", "''")}'`,
          `E'SECRET${text.replace(/['\\]/g, "\\$&")}'`,
          `$q$SECRET${text.replaceAll("$", "")}$q$`,
        ),
      );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, literal)), (parts) => {
        expect(statementShape(parts.join(" "))).not.toContain("SECRET");
      }),
    );
  });

  test("a repeat is told once, when it is one; once on every shard is none", () => {
    const repeats = new Repeats();
    const told = Array.from({ length: 9 }, () => repeats.add("a", 1, 5));
    expect(told.map((one) => one !== undefined)).toEqual([
      false,
      false,
      false,
      false,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect(told[4]).toEqual({ count: 9, shards: new Set([1]) });
    for (let shard = 0; shard < 32; shard++) expect(repeats.add("scatter", shard, 5)).toBeUndefined();
    expect(repeats.add("scatter", 0, 5)?.count).toBe(33);
  });

  test("filters are read as EXPLAIN writes them, and get the index that serves them", () => {
    const columns = ["id", "owner", "at", "doc", "Name", "gone", "name"];
    const propose = (filter: string) => proposeIndexes("t", filterConditions(filter, columns));
    for (const [filter, indexes] of [
      ["(owner = $1)", ["create index on t (owner)"]],
      ["((at > $2) AND (owner = $1))", ["create index on t (owner, at)"]],
      ["((t.owner)::text = $1)", ["create index on t (owner)"]],
      ['("Name" = ANY ($1))', ['create index on t ("Name")']],
      ["(lower(name) = $1)", ["create index on t ((lower(name)))"]],
      ["((doc ->> 'city'::text) = $1)", ["create index on t ((doc ->> 'city'::text))"]],
      ["(doc @> $1)", ["create index on t using gin (doc)"]],
      ["((owner = $1) OR (name = $2))", ["create index on t (owner)", "create index on t (name)"]],
      ["((owner = $1) OR (name ~~ $2))", []],
      ["((gone IS NULL) AND (at <= $1))", ["create index on t (gone, at)"]],
      ["(name ~~ $1)", []],
      ["(owner = name)", []],
      ["((name || 'SECRET'::text) = $1)", []],
      ["(owner = 'a) AND (b'::text)", ["create index on t (owner)"]],
      ["((SubPlan 1) = owner)", ["create index on t (owner)"]],
    ] as const)
      expect([filter, propose(filter)]).toEqual([filter, indexes]);
    expect(filterConditions("(name ~~ $1)", columns).conditions[0]?.columns).toEqual(["name"]);
    expect(proposeIndexes("t", filterConditions("(x.owner = link.name)", columns, "x"))).toEqual([
      "create index on t (owner)",
    ]);
    expect(proposeIndexes("t", filterConditions('("X y".owner = x.owner)', columns, "X y"))).toEqual([
      "create index on t (owner)",
    ]);
  });

  test("whatever a filter says, reading it ends, names only columns, and no literal gets into an index", () => {
    const piece = fc.constantFrom(
      "(",
      ")",
      "owner",
      " = ",
      " AND ",
      " OR ",
      "'SECRET'",
      "::text",
      "$1",
      '"',
      "lower(",
      " IS NULL",
      "->> ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const read = filterConditions(pieces.join(""), ["owner"]);
        for (const { columns } of read.conditions)
          expect(columns.every((name) => name === "owner")).toBe(true);
        expect(proposeIndexes("t", read).join().replaceAll("->> 'SECRET'::text", "")).not.toContain("SECRET");
      }),
    );
  });

  test("scans that stop early, or have a condition, are none", () => {
    const seq = { "Node Type": "Seq Scan", "Relation Name": "t" };
    const index = { "Node Type": "Index Scan", "Relation Name": "t", "Index Name": "t_pkey" };
    const scan = { table: "t", alias: "t", joins: false, filter: undefined, index: undefined };
    expect(planScans(seq)).toEqual([scan]);
    expect(planScans({ "Node Type": "Limit", Plans: [seq] })).toEqual([]);
    expect(planScans({ "Node Type": "Limit", Plans: [{ "Node Type": "Sort", Plans: [seq] }] })).toEqual([
      scan,
    ]);
    expect(planScans({ "Node Type": "Limit", Plans: [{ ...seq, Filter: "x" }] })).toEqual([
      { ...scan, filter: "x" },
    ]);
    expect(planScans({ ...index, "Index Cond": "x" })).toEqual([]);
    const bitmap = (cond: object) => ({
      "Node Type": "Bitmap Heap Scan",
      "Relation Name": "t",
      Plans: [{ "Node Type": "Bitmap Index Scan", "Index Name": "t_pkey", ...cond }],
    });
    expect(planScans(bitmap({ "Index Cond": "x" }))).toEqual([]);
    expect(planScans(bitmap({}))).toEqual([{ ...scan, index: "t_pkey" }]);
    expect(planScans({ ...index, Filter: "x" })).toEqual([{ ...scan, filter: "x", index: "t_pkey" }]);
    expect(planScans({ "Node Type": "Limit", Plans: [{ ...index, Filter: "x" }] })).toEqual([]);
  });

  test("the place is the first frame of the user's", () => {
    const stack = [
      "Error",
      "    at told (file:///own/src/watch.ts:1:1)",
      "    at x (file:///app/node_modules/kysely/x.js:2:2)",
      "    at async Promise.all (index 0)",
      "    at async node:internal/process:3:3",
      "    at async Object.fetch (file:///app/my%20api.ts:42:7)",
    ].join("\n");
    expect(placeIn(stack, "/own/src/")).toBe("/app/my api.ts:42");
    expect(placeIn("Error\n    at file:///own/src/a.ts:1:1", "/own/src/")).toBeUndefined();
  });

  test("what is shown has no control characters, and an end", () => {
    expect(clipped("a\u001b[2Jb\n\u202e", 40)).toBe("a�[2Jb��");
    expect(clipped("x".repeat(50), 40)).toBe(`${"x".repeat(39)}…`);
  });

  test("hot keys are told at the end of the window, once, and options are refused together", async () => {
    const clock = manualClock();
    const told: DevelopmentWarning[] = [];
    const watch = developmentWatch(clock, (warning) => told.push(warning), {
      sampleEvery: 2,
      samplesMin: 10,
    });
    for (let window = 0; window < 2; window++) {
      for (let n = 0; n < 600; n++)
        watch.key({
          database: "db",
          key: n % 2 ? "celebrity\u0007" : `k${n}`,
          shard: n % 32,
          shardCount: 32,
        });
      await clock.advance(10_000);
    }
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ code: "hot-key", data: { key: "celebrity�" } });
    expect(told[0]?.message).toMatch(/^db: key "celebrity�" \(shard \d+\) got (4|5)\d % of the operations/);
    await watch.close();
    expect(() => developmentWatch(clock, () => {}, { repeatsMin: 1, hotKeyShare: 1, windowMs: 0 })).toThrow(
      /3 problems/,
    );
  });
});

interface Tables {
  author: { id: number; name: string; email: string };
  post: { id: number; author_id: number; at: number };
  country: { code: string; name: string };
}

describe("on a real server", () => {
  let postgres: TestPostgres;
  let folder: string;
  let nodes: DatabaseNodes;
  let blog: Database<Tables>;
  let world: World;
  let watch: DevelopmentWatch;
  const told: DevelopmentWarning[] = [];
  beforeAll(async () => {
    postgres = await startTestPostgres({ shards: 4 });
    folder = await mkdtemp(join(tmpdir(), "hf-warnings-"));
    await writeFile(
      join(folder, "001_tables.sql"),
      `create table author (id int primary key, name text not null, email text);
       create table post (id int primary key, author_id int not null, at int not null);
       create table country (code text, name text);
       comment on table country is 'Of the world. holdfast: small';
       create table named (name text primary key);
       create view by_email as select * from author where email is not null;
       insert into author select n, 'a' || n, 'SECRET' from generate_series(1, 50) n;
       insert into post select n, n, n from generate_series(1, 50) n;`,
    );
    blog = database<Tables>("blog", {
      migrations: pathToFileURL(`${folder}/`),
      shards: { count: 4 },
      replicas: 0,
    });
    watch = developmentWatch(systemClock, (warning) => told.push(warning));
    nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "warnings", watch });
    await migrateDatabase(blog, nodes);
    world = new World("warnings", systemClock);
    world.bind(blog, postgresDatabase(blog, nodes, systemClock));
  });
  afterAll(async () => {
    await watch?.close();
    await nodes?.close();
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const seen = async (run: (db: Kysely<Tables>) => Promise<unknown>) => {
    told.length = 0;
    await inWorld(world, () => blog.at("x").read(run));
    await watch.idle();
    return told.map(({ code, message, data }) => ({ code, message, data }));
  };
  const write = async (run: (db: Kysely<Tables>) => Promise<unknown>) => {
    told.length = 0;
    await inWorld(world, () => blog.at("x").write(run));
    await watch.idle();
    return told;
  };

  test("a missing index is named with the statement that makes it, though the table is small; values are not", async () => {
    const missing = await seen((db) =>
      db.selectFrom("post").selectAll().where("author_id", "=", 7).where("at", ">", 12345).execute(),
    );
    expect(missing).toEqual([
      {
        code: "missing-index",
        message:
          "blog: no index serves a statement that looks for rows of post by author_id, at, so it reads all of them. Add to a migration: create index on post (author_id, at); if post stays small, say so: comment on table post is 'holdfast: small'. " +
          'Statement: select * from "post" where "author_id" = $ and "at" > $',
        data: {
          table: "post",
          columns: ["author_id", "at"],
          indexes: ["create index on post (author_id, at)"],
        },
      },
    ]);
    const [inlined] = await seen((db) =>
      sql`select name from author where email = 'SECRET' or lower(name) = ${"SECRET"}`.execute(db),
    );
    expect(inlined?.message).toContain(
      "create index on author (email); create index on author ((lower(name)))",
    );
    expect(JSON.stringify(told)).not.toContain("SECRET");
    const [half] = await seen((db) => sql`select 1 from author where id = ${1} or name = ${"x"}`.execute(db));
    expect(half?.data.indexes).toEqual(["create index on author (name)"]);
  });

  test("the proposed index is believed: with it, the same statement is told no more", async () => {
    const by = (db: Kysely<Tables>) => db.selectFrom("author").selectAll().where("name", "=", "a1").execute();
    const [warning] = await seen(by);
    const [index] = (warning?.data.indexes ?? []) as string[];
    await inWorld(world, () => blog.at("x").write((tx) => sql.raw(index as string).execute(tx)));
    watch.forget();
    expect(await seen(by)).toEqual([]);
  });

  test("what an index serves, stops early, is small or has no plan is not told; a statement is told once", async () => {
    expect(await seen((db) => db.selectFrom("post").selectAll().where("id", "in", [1, 2]).execute())).toEqual(
      [],
    );
    expect(await seen((db) => db.selectFrom("post").selectAll().orderBy("id").limit(5).execute())).toEqual(
      [],
    );
    expect(
      await seen((db) => db.selectFrom("country").selectAll().where("name", "=", "x").execute()),
    ).toEqual([]);
    expect(await seen((db) => sql`show work_mem`.execute(db))).toEqual([]);
    expect(await seen((db) => sql`select 1`.execute(db))).toEqual([]);
    const whole = (db: Kysely<Tables>) =>
      db
        .selectFrom("post")
        .select((is) => is.fn.countAll().as("n"))
        .execute();
    expect((await seen(whole)).map(({ code }) => code)).toEqual(["full-scan"]);
    expect(await seen(whole)).toEqual([]);
  });

  test("a join without an index is told with it; one with an index is not, however small the tables", async () => {
    const joined = (on: "post.author_id" | "post.id") => (db: Kysely<Tables>) =>
      sql`select 1 from unnest(${[1, 2]}::int[]) given(id) join post on ${sql.ref(on)} = given.id`.execute(
        db,
      );
    expect((await seen(joined("post.author_id"))).map(({ data }) => data.indexes)).toEqual([
      ["create index on post (author_id)"],
    ]);
    expect(await seen(joined("post.id"))).toEqual([]);
    const both = await seen((db) =>
      sql`select 1 from post join author on author.id = post.author_id`.execute(db),
    );
    expect(both.map(({ code, data }) => [code, data.table])).toEqual([["full-scan", "post"]]);
  });

  test("an index that is there and does not fit is named, instead of another like it", async () => {
    const [unfit] = await seen((db) =>
      sql`select (select count(*) from named n where n.name = a.name collate "C") from author a where id = 1`.execute(
        db,
      ),
    );
    expect(unfit?.message).toContain(
      "by name, so it reads all of them. There is an index on name, but it does not fit",
    );
    expect(unfit?.data).toEqual({ table: "named", columns: ["name"], indexes: [] });
  });

  test("joins, updates and deletes are looked at, and none is run", async () => {
    const joined = await seen((db) =>
      db
        .selectFrom("author")
        .innerJoin("post", "post.author_id", "author.id")
        .selectAll()
        .where("author.id", "=", 1)
        .execute(),
    );
    expect(joined.map(({ data }) => data.indexes)).toEqual([["create index on post (author_id)"]]);
    const removed = await write((tx) => tx.deleteFrom("post").where("at", "=", -1).execute());
    expect(removed.map(({ data }) => data.indexes)).toEqual([["create index on post (at)"]]);
    const updated = await write((tx) =>
      tx
        .updateTable("post")
        .set({ at: 1 })
        .execute()
        .then(() => Promise.reject(new Error("undo"))),
    ).catch(() => watch.idle().then(() => told));
    expect(updated.map(({ code, data }) => [code, data.table])).toEqual([["full-scan", "post"]]);
    const { rows } = await inWorld(world, () =>
      blog.at("x").read("strong", (db) =>
        sql<{
          n: string;
          ones: string;
        }>`select count(*) n, count(*) filter (where at = 1) ones from post`.execute(db),
      ),
    );
    expect(rows).toEqual([{ n: "50", ones: "1" }]);
  });

  test("a loop of queries in one call is told with its count and place; without a call, or once on each shard, it is not", async () => {
    const clock = manualClock();
    const repeats: DevelopmentWarning[] = [];
    const loops = developmentWatch(clock, (one) => one.code === "n-plus-one" && repeats.push(one));
    const watched = openDatabaseNodes(postgres.config, {
      clock: systemClock,
      applicationName: "loops",
      watch: loops,
    });
    const own = new World("loops", systemClock);
    own.bind(blog, postgresDatabase(blog, watched, systemClock));
    const one = (id: number) =>
      blog
        .at(`author-${id}`)
        .read((db) => db.selectFrom("author").select("name").where("id", "=", id).executeTakeFirst());
    try {
      await inWorld(own, async () => {
        for (let id = 0; id < 30; id++) await one(id);
        await inCall(new Call(systemClock), () =>
          Promise.all(
            blog
              .shards()
              .map((shard) =>
                shard.read((db) => db.selectFrom("author").select("id").where("id", "=", 1).execute()),
              ),
          ),
        );
        await clock.advance(1_000);
        expect(repeats).toEqual([]);
        await inCall(new Call(systemClock), async () => {
          for (let id = 0; id < 25; id++) await one(id);
          await clock.advance(200);
          for (let id = 0; id < 5; id++) await one(id);
        });
        expect(repeats).toEqual([]);
        await clock.advance(400);
      });
      expect(repeats.map(({ data }) => data.count)).toEqual([30]);
      expect(repeats[0]?.message).toMatch(
        /^blog: one call ran the same statement 30 times on 4 shards at .*warnings\.test\.ts:\d+\. Ask once/,
      );
    } finally {
      await loops.close();
      await watched.close();
    }
  });
});

/** Which keys a query is about, and why nobody can say of others. */
import { type Kysely, sql } from "kysely";
import { expect, test } from "vitest";
import { compiled, compileOnly } from "../compile-only.ts";
import type { AnyTables } from "../port.ts";
import { type FoundKeys, findKeys } from "./find-keys.ts";
import type { Unroutable } from "./refusal.ts";

const keys = { link: ["code"], click: ["code"], order: ["tenant", "id"], item: ["tenant", "order_id"] };
type Query = (db: Kysely<AnyTables>) => unknown;
const find = (build: Query, deciding?: number) => {
  const query = compiled(build(compileOnly));
  if (!query) throw new Error("it does not compile");
  return findKeys(query.query, { keys, deciding });
};

const found: [string, Query, FoundKeys["kind"], readonly unknown[], number?][] = [
  ["= on the key", (db) => db.selectFrom("link").selectAll().where("code", "=", "a"), "read", ["a"]],
  [
    "the value first",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ eb, val, ref }) => eb(val("a"), "=", ref("code"))),
    "read",
    ["a"],
  ],
  [
    "among other conditions",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where("url", "like", "x%")
        .where("code", "=", "a")
        .where(({ or, eb }) => or([eb("n", "=", 1), eb("n", "=", 2)])),
    "read",
    ["a"],
  ],
  [
    "in parentheses",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ and, eb }) => and([eb("code", "=", "a"), and({ n: 1 })])),
    "read",
    ["a"],
  ],
  ["in", (db) => db.selectFrom("link").selectAll().where("code", "in", ["a", "b"]), "read", ["a", "b"]],
  [
    "the shorter of two lists",
    (db) => db.selectFrom("link").selectAll().where("code", "in", ["a", "b"]).where("code", "=", "a"),
    "read",
    ["a"],
  ],
  [
    "under another name",
    (db) => db.selectFrom("link as l").selectAll().where("l.code", "=", "a"),
    "read",
    ["a"],
  ],
  [
    "joined by the key",
    (db) =>
      db
        .selectFrom("link")
        .innerJoin("click", "click.code", "link.code")
        .selectAll()
        .where("click.code", "in", ["a", "b"]),
    "read",
    ["a", "b"],
  ],
  [
    "left joined by the key",
    (db) =>
      db
        .selectFrom("link")
        .leftJoin("click", (on) => on.onRef("click.code", "=", "link.code").on("click.at", ">", 5))
        .selectAll()
        .where("link.code", "=", "a"),
    "read",
    ["a"],
  ],
  [
    "tied in FROM by WHERE",
    (db) =>
      db
        .selectFrom(["link", "click"])
        .selectAll()
        .whereRef("link.code", "=", "click.code")
        .where("link.code", "=", "a"),
    "read",
    ["a"],
  ],
  [
    "a subquery tied from outside",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where("code", "=", "a")
        .where(({ exists, selectFrom }) =>
          exists(selectFrom("click").select("click.at").whereRef("click.code", "=", "link.code")),
        ),
    "read",
    ["a"],
  ],
  [
    "a select in place of a table",
    (db) =>
      db
        .selectFrom((from) => from.selectFrom("click").select("at").where("code", "=", "a").as("c"))
        .selectAll(),
    "read",
    ["a"],
  ],
  [
    "a union of one key",
    (db) =>
      db
        .selectFrom("link")
        .select("code")
        .where("code", "=", "a")
        .union(db.selectFrom("click").select("code").where("code", "=", "a")),
    "read",
    ["a"],
  ],
  [
    "raw SQL where it decides nothing",
    (db) =>
      db.selectFrom("link").select(sql`upper(url)`.as("u")).where("code", "=", "a").orderBy(sql`random()`),
    "read",
    ["a"],
  ],
  [
    "two columns",
    (db) => db.selectFrom("order").selectAll().where("tenant", "=", "t").where("id", "in", [1, 2]),
    "read",
    [
      ["t", 1],
      ["t", 2],
    ],
  ],
  [
    "the leading column of two",
    (db) => db.selectFrom("order").selectAll().where("tenant", "=", "t"),
    "read",
    ["t"],
    1,
  ],
  [
    "two tables by two columns",
    (db) =>
      db
        .selectFrom("order")
        .innerJoin("item", (on) =>
          on.onRef("item.tenant", "=", "order.tenant").onRef("item.order_id", "=", "order.id"),
        )
        .selectAll()
        .where("order.tenant", "=", "t")
        .where("item.order_id", "=", 7),
    "read",
    [["t", 7]],
  ],
  [
    "inserted rows",
    (db) =>
      db.insertInto("link").values([
        { code: "a", url: "u" },
        { url: "v", code: "b" },
      ]),
    "write",
    ["a", "b"],
  ],
  [
    "an insert with expressions elsewhere",
    (db) =>
      db
        .insertInto("link")
        .values({ code: "a", at: sql`now()` })
        .onConflict((it) => it.column("code").doUpdateSet({ url: "v" }))
        .returningAll(),
    "write",
    ["a"],
  ],
  [
    "an update",
    (db) => db.updateTable("link").set({ n: sql`n + 1` }).where("code", "=", "a"),
    "write",
    ["a"],
  ],
  [
    "an update from another table",
    (db) =>
      db
        .updateTable("link")
        .from("click")
        .set({ n: 1 })
        .whereRef("click.code", "=", "link.code")
        .where("link.code", "=", "a"),
    "write",
    ["a"],
  ],
  ["a delete", (db) => db.deleteFrom("click").where("code", "in", ["a", "b"]), "write", ["a", "b"]],
  [
    "a delete using another table",
    (db) =>
      db
        .deleteFrom("click")
        .using("link")
        .whereRef("click.code", "=", "link.code")
        .where("link.code", "=", "a"),
    "write",
    ["a"],
  ],
];

test.each(found)("%s", (_name, build, kind, keysFound, deciding) => {
  expect(find(build, deciding)).toEqual({ kind, keys: keysFound });
});

const refused: [string, Query, RegExp, Partial<Unroutable>][] = [
  [
    "no condition",
    (db) => db.selectFrom("link").selectAll(),
    /no condition on its key column "code": add .where/,
    { table: "link", column: "code" },
  ],
  [
    "a condition on another column",
    (db) => db.selectFrom("link").selectAll().where("url", "=", "a"),
    /no condition/,
    { column: "code" },
  ],
  [
    "half of a key",
    (db) => db.selectFrom("order").selectAll().where("tenant", "=", "t"),
    /"id"/,
    { table: "order", column: "id" },
  ],
  [
    "OR",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ or, eb }) => or([eb("code", "=", "a"), eb("url", "=", "u")])),
    /inside of OR/,
    { column: "code" },
  ],
  [
    "NOT",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ not, eb }) => not(eb("code", "=", "a"))),
    /compared otherwise/,
    { column: "code" },
  ],
  [
    "a range",
    (db) => db.selectFrom("link").selectAll().where("code", ">", "a"),
    /everywhere/,
    { column: "code" },
  ],
  [
    "a function of the key",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ eb, fn }) => eb(fn("lower", ["code"]), "=", "a")),
    /compared otherwise/,
    {},
  ],
  ["an empty list", (db) => db.selectFrom("link").selectAll().where("code", "in", []), /no key at all/, {}],
  [
    "too many keys",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(
          "code",
          "in",
          Array.from({ length: 1_001 }, (_, n) => n),
        ),
    /1001 keys, and 1000/,
    {},
  ],
  [
    "raw SQL beside the key",
    (db) => db.selectFrom("link").selectAll().where("code", "=", "a").where(sql<boolean>`n = 1 or true`),
    /raw SQL/,
    {},
  ],
  [
    "raw SQL as a value",
    (db) => db.selectFrom("link").selectAll().where("code", "=", sql<string>`'a' or true`),
    /raw SQL/,
    {},
  ],
  ["raw SQL as a table", (db) => db.selectFrom(sql`link`.as("l")).selectAll(), /raw SQL/, {}],
  [
    "a join by something else",
    (db) =>
      db
        .selectFrom("link")
        .innerJoin("click", "click.id", "link.click_id")
        .selectAll()
        .where("link.code", "=", "a"),
    /"click" is not joined by its key/,
    { table: "click" },
  ],
  [
    "a left join whose left side is not tied",
    (db) =>
      db
        .selectFrom("link")
        .leftJoin("click", (on) => on.onRef("click.code", "=", "link.code").on("click.code", "=", "a"))
        .selectAll(),
    /"link"/,
    { table: "link" },
  ],
  [
    "a left join where the condition is on its left",
    (db) =>
      db
        .selectFrom("link")
        .leftJoin("click", (on) => on.onRef("click.code", "=", "link.code").on("link.code", "=", "a"))
        .selectAll(),
    /"link"/,
    { table: "link" },
  ],
  [
    "a full join",
    (db) =>
      db
        .selectFrom("link")
        .fullJoin("click", "click.code", "link.code")
        .selectAll()
        .where("link.code", "=", "a"),
    /FullJoin/,
    { table: "click" },
  ],
  [
    "a cross join of several keys",
    (db) =>
      db
        .selectFrom("link")
        .crossJoin("click")
        .selectAll()
        .where("link.code", "in", ["a", "b"])
        .where("click.code", "in", ["a", "b"]),
    /not joined by them/,
    { table: "click" },
  ],
  [
    "two keys",
    (db) =>
      db
        .selectFrom("link")
        .crossJoin("click")
        .selectAll()
        .where("link.code", "=", "a")
        .where("click.code", "=", "b"),
    /different keys/,
    {},
  ],
  [
    "a subquery that is not tied",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where("code", "=", "a")
        .where("n", "in", (from: { selectFrom: (table: string) => { select: (column: string) => never } }) =>
          from.selectFrom("click").select("n"),
        ),
    /"click"/,
    { table: "click" },
  ],
  [
    "a subquery's condition does not hold outside",
    (db) =>
      db
        .selectFrom("link")
        .selectAll()
        .where(({ exists, selectFrom }) =>
          exists(
            selectFrom("click")
              .select("click.at")
              .whereRef("click.code", "=", "link.code")
              .where("click.code", "=", "a"),
          ),
        ),
    /"link"/,
    { table: "link" },
  ],
  [
    "a table without a key",
    (db) => db.selectFrom("country").selectAll(),
    /not among shards.keys/,
    { table: "country" },
  ],
  ["a schema", (db) => db.selectFrom("s1.link").selectAll().where("code", "=", "a"), /names a schema/, {}],
  [
    "WITH",
    (db) =>
      db
        .with("c", (from) => from.selectFrom("click").selectAll().where("code", "=", "a"))
        .selectFrom("c")
        .selectAll(),
    /WITH/,
    {},
  ],
  ["locks", (db) => db.selectFrom("link").selectAll().where("code", "=", "a").forUpdate(), /locks rows/, {}],
  ["no table", (db) => db.selectNoFrom(({ lit }) => lit(1).as("one")), /no table/, {}],
  [
    "an insert without its key",
    (db) => db.insertInto("link").values({ url: "u" }),
    /no value for its key column/,
    { table: "link", column: "code" },
  ],
  [
    "an insert whose key is an expression",
    (db) => db.insertInto("link").values({ code: sql`gen_random_uuid()` }),
    /only the server would know/,
    { column: "code" },
  ],
  [
    "an insert from a select",
    (db) =>
      db
        .insertInto("link")
        .columns(["code"])
        .expression(db.selectFrom("click").select("code").where("code", "=", "a")),
    /not given as values/,
    {},
  ],
  [
    "a change of the key",
    (db) => db.updateTable("link").set({ code: "b" }).where("code", "=", "a"),
    /wrong shard/,
    { column: "code" },
  ],
  [
    "a change of the key on conflict",
    (db) =>
      db
        .insertInto("link")
        .values({ code: "a" })
        .onConflict((it) => it.column("code").doUpdateSet({ code: "b" })),
    /wrong shard/,
    { column: "code" },
  ],
  [
    "MERGE",
    (db) => db.mergeInto("link").using("click", "click.code", "link.code").whenMatched().thenDelete(),
    /MergeQueryNode/,
    {},
  ],
  ["a name of an object's own", (db) => db.selectFrom("constructor").selectAll(), /not among/, {}],
];

test.each(refused)("refused: %s", (_name, build, reason, about) => {
  const answer = find(build) as Unroutable;
  expect(answer.reason).toMatch(reason);
  expect(answer).toMatchObject(about);
});

import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
} from "kysely";
import { expect, test } from "vitest";
import { QualifiedStatements } from "./kysely-qualify.ts";

// biome-ignore lint/suspicious/noExplicitAny: any table will do
const db = new Kysely<any>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (of) => new PostgresIntrospector(of),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});
const qualify = (query: { compile(): CompiledQuery }, schema = "s7") =>
  new QualifiedStatements().textFor(query.compile(), schema);

test("tables get the schema; aliases, common table expressions and columns do not", () => {
  expect(qualify(db.selectFrom("link").selectAll().where("code", "=", "x"))).toBe(
    'select * from "s7"."link" where "code" = $1',
  );
  expect(
    qualify(
      db
        .with("recent", (q) => q.selectFrom("link").select("code"))
        .selectFrom("recent")
        .innerJoin("click as c", "c.code", "recent.code")
        .select(["c.code", "recent.code as again"])
        .orderBy("c.code", "desc")
        .limit(3),
    ),
  ).toBe(
    'with "recent" as (select "code" from "s7"."link") select "c"."code", "recent"."code" as "again" from "recent" inner join "s7"."click" as "c" on "c"."code" = "recent"."code" order by "c"."code" desc limit $1',
  );
  expect(
    qualify(
      db
        .selectFrom("link")
        .select((eb) => [
          eb.fn.countAll().as("n"),
          eb.selectFrom("click").select("click.id").whereRef("click.code", "=", "link.code").as("one"),
        ])
        .where((eb) => eb.fn.coalesce("link.tag", eb.val("")), "=", "t"),
    ),
  ).toBe(
    'select count(*) as "n", (select "s7"."click"."id" from "s7"."click" where "s7"."click"."code" = "s7"."link"."code") as "one" from "s7"."link" where coalesce("s7"."link"."tag", $1) = $2',
  );
});

test("the same statement is answered for each schema, and a quote in its name is one", () => {
  const statements = new QualifiedStatements();
  const query = db.selectFrom("link").select("url").compile();
  expect(statements.textFor(query, "s0")).toBe('select "url" from "s0"."link"');
  expect(statements.textFor(query, "s31")).toBe('select "url" from "s31"."link"');
  expect(statements.textFor(query, 'a"b')).toBe('select "url" from "a""b"."link"');
});

test("what may name more than tables needs the search path", () => {
  expect(qualify({ compile: () => sql`select * from link`.compile(db) })).toBeUndefined();
  expect(qualify(db.selectFrom("link").select(sql<number>`visits + 1`.as("next")))).toBeUndefined();
  expect(qualify({ compile: () => sql`select * from ${sql.table("link")}`.compile(db) })).toBeUndefined();
  expect(qualify(db.selectFrom("link").select(sql`(select n from link)`.as("n")))).toBeUndefined();
  expect(qualify(db.selectFrom("link").select((eb) => eb.fn("score", ["code"]).as("s")))).toBeUndefined();
  expect(qualify(db.selectFrom("link").select((eb) => eb.fn.agg("median", ["n"]).as("m")))).toBeUndefined();
});

test("raw SQL of SQL's own words around the builder's tables names nothing further", () => {
  expect(qualify(db.selectFrom("link").where(sql.ref("code"), "=", "x").selectAll())).toBe(
    'select * from "s7"."link" where "code" = $1',
  );
  const inner = db.selectFrom("link").select("code");
  const page = sql`select ${sql.id("p")}.*, extract(epoch from ${sql.ref("p.at")})::text from (${inner}) as ${sql.id("p")}
    order by ${sql.ref("p.code")} collate "C" desc nulls last limit ${5}`;
  expect(qualify({ compile: () => page.compile(db) })).toContain(
    'from ((select "code" from "s7"."link")) as "p"',
  );
});

test("values are never taken for SQL, whatever their shape", () => {
  const value = { kind: "RawNode", sqlFragments: ["drop table link"], parameters: [] };
  expect(qualify(db.selectFrom("link").selectAll().where("data", "=", value))).toBe(
    'select * from "s7"."link" where "data" = $1',
  );
  expect(qualify(db.selectFrom("link").selectAll().where("code", "in", ["a", "b"]))).toBe(
    'select * from "s7"."link" where "code" in ($1, $2)',
  );
});

test("a statement that failed for want of the path keeps to the path", () => {
  const statements = new QualifiedStatements();
  const query = db.selectFrom("pg_class").selectAll().compile();
  expect(statements.textFor(query, "s0")).toBe('select * from "s0"."pg_class"');
  statements.needsPath(query);
  expect(statements.textFor(query, "s0")).toBeUndefined();
});

test("reference tables get their own schema, and what has only their name needs the search path", () => {
  const statements = new QualifiedStatements(["country"]);
  const text = (query: { compile(): CompiledQuery }) => statements.textFor(query.compile(), "s7");
  const joined = db.selectFrom("link").innerJoin("country", "country.code", "link.country");
  expect(text(joined.select(["link.code", "country.name"]).where("country.name", "=", "country"))).toBe(
    'select "s7"."link"."code", "ref"."country"."name" from "s7"."link" inner join "ref"."country" on "ref"."country"."code" = "s7"."link"."country" where "ref"."country"."name" = $1',
  );
  expect(text(db.selectFrom("country as c").select("c.name"))).toBe(
    'select "c"."name" from "ref"."country" as "c"',
  );
  expect(text(db.selectFrom("link as country").select("country.code"))).toBeUndefined();
  expect(
    text(
      db
        .with("country", (q) => q.selectFrom("link").select("code"))
        .selectFrom("country")
        .selectAll(),
    ),
  ).toBeUndefined();
});

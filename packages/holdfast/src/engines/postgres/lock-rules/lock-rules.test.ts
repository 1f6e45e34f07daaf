import { describe, expect, test } from "vitest";
import { lockWarnings, warningLines } from "./index.ts";
import { readStatements } from "./statement.ts";

const before = { name: "001_first.sql", sql: "create table link (code text);", pending: false };
const check = (sql: string, ...more: string[]) =>
  lockWarnings([
    before,
    { name: "002_next.sql", sql, pending: true },
    ...more.map((text, i) => ({ name: `00${i + 3}_more.sql`, sql: text, pending: true })),
  ]);
const rulesOf = async (sql: string, ...more: string[]) => (await check(sql, ...more)).map(({ rule }) => rule);
/** SQL lines of the safe forms, without comments. */
const safeSql = async (sql: string) =>
  (await check(sql)).flatMap(({ safe }) => safe.filter((line) => !line.startsWith("-- ")));

describe("each statement that stops others is named, with the safe form made from it", () => {
  const cases: readonly [rule: string, sql: string, lock: string, safe: string][] = [
    [
      "create-index",
      "create unique index on link (code, lower(note)) where hits > 1",
      "SHARE on link",
      "create unique index concurrently link_code_expr_idx on link (code, lower(note)) where hits > 1;",
    ],
    [
      "create-index",
      "create index é on link using gin (tags)",
      "SHARE on link",
      "create index concurrently é on link using gin (tags);",
    ],
    [
      "drop-index",
      "drop index link_hits",
      "ACCESS EXCLUSIVE",
      "drop index concurrently if exists link_hits;",
    ],
    [
      "drop-table",
      "drop table if exists link cascade",
      "ACCESS EXCLUSIVE on link",
      "drop table if exists link cascade;",
    ],
    ["rename-column", "alter table link rename code to slug", "ACCESS EXCLUSIVE on link", "add column slug"],
    [
      "rename-table",
      'alter table link rename to "Link"',
      "ACCESS EXCLUSIVE on link",
      'create view link as select * from "Link";',
    ],
    [
      "set-schema",
      "alter table link set schema old",
      "ACCESS EXCLUSIVE on link",
      "create view link as select * from old.link;",
    ],
    ["truncate", "truncate link", "ACCESS EXCLUSIVE on link", "delete from link where ctid"],
    [
      "update-all",
      "update link set hits = 0",
      "ROW EXCLUSIVE on link, and every row",
      "update link set hits = 0 where ctid = any",
    ],
    [
      "delete-all",
      "delete from link",
      "ROW EXCLUSIVE on link, and every row",
      "delete from link where ctid = any",
    ],
    [
      "lock-table",
      "lock table link in share row exclusive mode",
      "SHARE ROW EXCLUSIVE on link",
      "-- nothing",
    ],
    ["cluster", "cluster link using link_pkey", "ACCESS EXCLUSIVE on link", "vacuum (analyze) link;"],
    ["vacuum-full", "vacuum full link", "ACCESS EXCLUSIVE on link", "vacuum (analyze) link;"],
    ["reindex", "reindex table link", "SHARE on the table", "reindex table concurrently link;"],
    [
      "refresh-view",
      "refresh materialized view totals",
      "ACCESS EXCLUSIVE on totals",
      "refresh materialized view concurrently totals;",
    ],
    [
      "enum-add-value",
      "alter type mood add value 'meh'",
      "none on tables",
      "alter type mood add value 'meh';",
    ],
    [
      "enum-rename-value",
      "alter type mood rename value 'o''k' to 'it''s'",
      "none on tables",
      "alter type mood add value 'it''s';",
    ],
    [
      "create-trigger",
      "create trigger t before insert on link for each row execute function f()",
      "SHARE ROW EXCLUSIVE on link",
      "create trigger t",
    ],
    [
      "disable-trigger",
      "alter table link disable trigger all",
      "SHARE ROW EXCLUSIVE on link",
      "set local session_replication_role to replica;",
    ],
    [
      "add-column-volatile-default",
      "alter table link add column id uuid default gen_random_uuid() not null",
      "ACCESS EXCLUSIVE on link",
      "alter table link alter column id set default gen_random_uuid();",
    ],
    [
      "add-column-numbered",
      "alter table link add n bigserial",
      "ACCESS EXCLUSIVE on link",
      "create sequence link_n_seq;",
    ],
    [
      "add-column-generated",
      "alter table link add column twice int generated always as (hits * 2) stored",
      "ACCESS EXCLUSIVE on link",
      "alter table link add column twice int;",
    ],
    [
      "add-column-not-null",
      "alter table link add column note varchar(20) not null",
      "ACCESS EXCLUSIVE on link",
      "alter table link add column note varchar(20);",
    ],
    [
      "add-column-unique",
      "alter table link add column slug text unique",
      "ACCESS EXCLUSIVE on link",
      "create unique index concurrently link_slug_key on link (slug);",
    ],
    [
      "alter-type",
      "alter table link alter column hits type numeric(10, 2) using hits::numeric",
      "ACCESS EXCLUSIVE on link",
      "alter table link add column hits_new numeric(10, 2);",
    ],
    [
      "set-not-null",
      "alter table link alter hits set not null",
      "ACCESS EXCLUSIVE on link",
      "alter table link add constraint link_hits_not_null check (hits is not null) not valid;",
    ],
    [
      "drop-column",
      "alter table only link drop column note cascade",
      "ACCESS EXCLUSIVE on link",
      "alter table link drop column note cascade;",
    ],
    [
      "add-foreign-key",
      "alter table link add foreign key (owner) references s.owner (id) on delete cascade",
      "SHARE ROW EXCLUSIVE on link and s.owner",
      "alter table link add constraint link_owner_fkey foreign key (owner) references s.owner (id) on delete cascade not valid;",
    ],
    [
      "add-check",
      "alter table link add constraint positive check (hits in (1, 2))",
      "ACCESS EXCLUSIVE on link",
      "alter table link add constraint positive check (hits in (1, 2)) not valid;",
    ],
    [
      "add-unique",
      'alter table link add unique (code, "Owner")',
      "ACCESS EXCLUSIVE on link",
      'create unique index concurrently link_code_owner_key on link (code, "Owner");',
    ],
    [
      "add-primary-key",
      "alter table link add primary key (code)",
      "ACCESS EXCLUSIVE on link",
      "alter table link add constraint link_pkey primary key using index link_pkey;",
    ],
    [
      "add-exclusion",
      "alter table link add exclude using gist (period with &&)",
      "ACCESS EXCLUSIVE on link",
      "(like link including all, exclude using gist (period with &&))",
    ],
    ["rewrite", "alter table link set unlogged", "ACCESS EXCLUSIVE on link", "like link including all"],
    [
      "detach-partition",
      "alter table link detach partition link_1",
      "ACCESS EXCLUSIVE on link",
      "alter table link detach partition link_1 concurrently;",
    ],
  ];
  test.each(cases)("%s: %s", async (rule, sql, lock, safe) => {
    const warnings = await check(`-- a comment\n\n${sql};`);
    expect(warnings.map((warning) => warning.rule)).toEqual([rule]);
    const [warning] = warnings;
    expect(warning).toMatchObject({ file: "002_next.sql", line: 3, lock: expect.stringContaining(lock) });
    expect(warning?.blocks).toBeTruthy();
    expect(warning?.safe.join("\n")).toContain(safe);
  });

  test("what it prints as SQL the parser reads, and no rule warns of the first step", async () => {
    const skipped = new Set(["rename-column", "lock-table", "update-all", "create-trigger"]);
    for (const [rule, sql] of cases) {
      if (skipped.has(rule)) continue;
      const lines = (await safeSql(sql)).filter((line) => !line.includes("ctid"));
      for (const line of lines) expect(await readStatements(line), `${rule}: ${line}`).toBeDefined();
    }
    expect(await rulesOf("alter table link add constraint c check (hits > 0) not valid")).toEqual([]);
  });
});

test("what stops nobody is not warned of", async () => {
  for (const sql of [
    "create index concurrently i on link (code)",
    "alter table link add column note text",
    "alter table link add column seen timestamptz not null default now()",
    "alter table link add column n int not null default 3 check (n > 0)",
    "alter table link alter column hits set default 3, drop constraint c",
    "alter table link add constraint k unique using index i",
    "update link set hits = 0 where code = 'a'",
    "lock table link in row exclusive mode",
    "insert into link values ('alter table link drop column x; truncate link')",
    "create function f() returns void language plpgsql as $$ begin truncate link; end $$",
    "alter table link validate constraint c",
    "alter index i rename to j",
    "",
  ])
    expect(await rulesOf(sql), sql).toEqual([]);
});

test("each action of one ALTER TABLE is looked at on its own, whatever commas it has", async () => {
  const sql = `alter table if exists only public.link add column price numeric(10, 2) not null, alter "Note" type text collate "C" using concat("Note", ', '), drop column x`;
  expect(await rulesOf(sql)).toEqual(["add-column-not-null", "alter-type", "drop-column"]);
  const lines = await safeSql(sql);
  expect(lines).toContain("alter table public.link add column price numeric(10, 2);");
  expect(lines).toContain('alter table public.link add column "Note_new" text;');
  expect(lines).toContain("alter table public.link drop column x;");
});

test("tables made by the same migrations are nobody's yet, and neither is an empty database", async () => {
  expect(await rulesOf("create table tag (n int); create index on tag (n);")).toEqual([]);
  expect(await rulesOf("create table tag (n int)", "alter table tag add column m int not null")).toEqual([]);
  expect(await rulesOf("create table tag (n int)", "create index on link (code)")).toEqual(["create-index"]);
  const first = { ...before, sql: "truncate link", pending: true };
  expect(await lockWarnings([first])).toEqual([]);
  expect(await lockWarnings([{ ...first, pending: false }])).toEqual([]);
});

test("SET NOT NULL behind a validated check is quick, and a check validated in its own file is not", async () => {
  const add = "alter table link add constraint nn check (hits is not null) not valid;";
  const validate = "alter table link validate constraint nn;";
  const set = "alter table link alter column hits set not null; alter table link drop constraint nn;";
  expect(await rulesOf(add, validate, set)).toEqual([]);
  expect(await rulesOf(add, set)).toEqual(["set-not-null"]);
  expect(await rulesOf(add + validate)).toEqual(["validate-in-same-file"]);
});

test("a comment with a reason silences its own statement only", async () => {
  const silent = "-- holdfast: safe because it is tiny\n";
  expect(await rulesOf(`${silent}truncate link; delete from link;`)).toEqual(["delete-all"]);
  expect(await rulesOf(`truncate link; -- holdfast: safe because it is tiny\ndelete from link;`)).toEqual([
    "delete-all",
  ]);
  expect(await rulesOf(`/* holdfast: safe because it is tiny */ truncate link`)).toEqual([]);
  expect(await rulesOf(`insert into link values ('-- holdfast: safe because x'); truncate link`)).toEqual([
    "truncate",
  ]);
  const [without] = await check("-- holdfast: safe\ntruncate link");
  expect(without?.safe[0]).toContain("has no reason yet");
});

test("a warning in lines names file, line, lock, whom it stops and what to do instead", async () => {
  const [warning] = await check("create index link_hits on link (hits);");
  expect(warning && warningLines(warning)).toEqual([
    "002_next.sql:1  create index link_hits on link (hits)",
    "  takes SHARE on link: stops every write while the index is built.",
    "  Instead:",
    "    -- a file of its own:",
    "    -- holdfast: no transaction",
    "    create index concurrently link_hits on link (hits);",
    "  If nobody is stopped here, say so above the statement: -- holdfast: safe because …",
  ]);
});

test("what the parser cannot read is left to the server to refuse", async () => {
  expect(await readStatements("selekt 1")).toBeUndefined();
  expect(await rulesOf("selekt 1")).toEqual([]);
});

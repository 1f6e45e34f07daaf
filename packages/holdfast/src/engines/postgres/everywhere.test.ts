/** `everywhere` and `totals` beside one table on one real server that has all rows. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { type Kysely, sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { OrderBy } from "../../parts/database/index.ts";
import { type Database, database, installWorld, World } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

const columnTypes = {
  small: "int2",
  whole: "int4",
  big: "int8",
  exact: "numeric",
  single: "float4",
  double: "float8",
  words: "text",
  short: "varchar",
  unique: "uuid",
  at: "timestamptz",
  local: "timestamp",
  day: "date",
  flag: "boolean",
} as const;
type Column = keyof typeof columnTypes;
const columnNames = Object.keys(columnTypes) as Column[];

type Row = { id: string } & Record<Column, string | null>;
interface Tables {
  fact: Row & { '"; drop table fact; --'?: string };
  mirror: Row;
}

const table = (name: string) =>
  `create table ${name} (id int8 primary key, ${columnNames.map((c) => `"${c}" ${columnTypes[c]}`).join(", ")});`;

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let folder: string;
let facts: Database<Tables>;
/** One shard, one server: the obvious twin. */
let one: Database<Tables>;
let oneNodes: DatabaseNodes;

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 5 });
  folder = await mkdtemp(join(tmpdir(), "hf-everywhere-"));
  await writeFile(join(folder, "001_fact.sql"), table("fact"));
  const options = { migrations: pathToFileURL(`${folder}/`), replicas: 0 };
  facts = database<Tables>("facts", { ...options, shards: { count: 5 }, nodes: 2 });
  one = database<Tables>("one", { ...options, shards: { count: 1 } });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "everywhere" });
  oneNodes = openDatabaseNodes(await postgres.freshDatabase({ shards: 1 }), {
    clock: systemClock,
    applicationName: "one",
  });
  await migrateDatabase(facts, nodes);
  await migrateDatabase(one, oneNodes);
});
afterAll(async () => {
  await nodes?.close();
  await oneNodes?.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  const world = new World("everywhere", systemClock);
  world.bind(facts, postgresDatabase(facts, nodes, systemClock));
  world.bind(one, postgresDatabase(one, oneNodes, systemClock));
  installWorld(world);
});
afterEach(() => installWorld(undefined));

const sometimesNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { freq: 5, nil: null });
const integers = (bits: bigint) =>
  fc
    .oneof(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -(2n ** bits), max: 2n ** bits - 1n }))
    .map(String);
const micros = fc.integer({ min: 0, max: 3 }).map((n) => `2026-01-31 23:59:59.99999${n}`);
const times = (more: readonly string[]) =>
  fc.oneof(
    micros,
    fc.constantFrom(
      "infinity",
      "-infinity",
      "4713-01-01 00:00:00 BC",
      "0099-05-05 10:00:00.5",
      "12345-01-01 00:00:00.000001",
      ...more,
    ),
  );
const rowOf: fc.Arbitrary<Record<Column, string | null>> = fc.record({
  small: sometimesNull(integers(15n)),
  whole: sometimesNull(integers(31n)),
  big: sometimesNull(integers(63n)),
  exact: sometimesNull(
    fc.oneof(
      fc.constantFrom(
        "NaN",
        "Infinity",
        "-Infinity",
        "1.0",
        "1",
        "-0.50",
        "-0.5",
        "0",
        "-0.0001",
        "1e-30",
        "123456789012345678901234567890.5",
      ),
      fc.integer().map((n) => String(n / 100)),
    ),
  ),
  single: sometimesNull(
    fc.constantFrom("NaN", "Infinity", "-Infinity", "0", "-0", "0.1", "0.2", "1e30", "-1e-30", "16777217"),
  ),
  double: sometimesNull(
    fc.oneof(
      fc.constantFrom("NaN", "Infinity", "-Infinity", "0", "-0"),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    ),
  ),
  words: sometimesNull(
    fc.constantFrom("", "a", "B", "b", "A", "é", "e\u0301", "z", "\uffff", "🐢", "ab", "a b", "'", "\\"),
  ),
  short: sometimesNull(fc.constantFrom("x", "X", "ß", "ss", "\u{10ffff}", "\ue000")),
  unique: sometimesNull(fc.uuid()),
  at: sometimesNull(times(["2026-01-31 23:59:59.999999+05:30", "1890-01-01 00:00:00+00"])),
  local: sometimesNull(times([])),
  day: sometimesNull(
    fc.constantFrom("infinity", "-infinity", "2026-01-31", "2026-02-01", "0044-03-15 BC", "12026-01-01"),
  ),
  flag: sometimesNull(fc.constantFrom("true", "false")),
});

/** The same rows on the shards, spread anyhow, and in one table. */
async function fill(
  rows: readonly Record<Column, string | null>[],
  idOf: (n: number) => number = (n) => n,
): Promise<void> {
  const all = rows.map((row, n) => ({ id: String(idOf(n)), ...row }));
  const put = (db: Database<Tables>, shard: number, own: readonly Row[]) =>
    db.shards()[shard]?.write(async (tx) => {
      await sql`truncate fact`.execute(tx);
      if (own.length > 0)
        await tx
          .insertInto("fact")
          .values([...own])
          .execute();
    });
  await put(one, 0, all);
  await Promise.all(
    facts.shards().map(({ index }) =>
      put(
        facts,
        index,
        all.filter(({ id }) => Number(id) % 5 === index),
      ),
    ),
  );
}

/** Every page, one after another. */
async function pages(orderBy: readonly OrderBy<keyof Row & string>[], limit: number): Promise<string[][]> {
  const found: string[][] = [];
  let after: string | undefined;
  do {
    const page = await facts.everywhere({ orderBy, limit, after, level: "strong" }, (db) =>
      db.selectFrom("fact").select(["id", ...columnNames]),
    );
    found.push(page.rows.map(({ id }) => id));
    after = page.next;
  } while (after !== undefined);
  return found;
}

async function twin(orderBy: readonly OrderBy<keyof Row & string>[]): Promise<string[]> {
  const terms = orderBy.map(([column, direction, nulls]) => {
    const isText = column === "words" || column === "short";
    return sql`${sql.id(column)}${sql.raw(`${isText ? ' collate "C"' : ""} ${direction} ${nulls ? `nulls ${nulls}` : ""}`)}`;
  });
  const rows = await one
    .shards()[0]
    ?.read(
      "strong",
      async (db: Kysely<Tables>) =>
        (await sql<{ id: string }>`select id from fact order by ${sql.join(terms)}`.execute(db)).rows,
    );
  return (rows ?? []).map(({ id }) => id);
}

const orderOf: fc.Arbitrary<OrderBy<Column>[]> = fc
  .uniqueArray(fc.constantFrom(...columnNames), { minLength: 1, maxLength: 3 })
  .chain((columns) =>
    fc.tuple(
      ...columns.map((column) =>
        fc.oneof(
          fc.tuple(fc.constant(column), fc.constantFrom("asc", "desc")),
          fc.tuple(fc.constant(column), fc.constantFrom("asc", "desc"), fc.constantFrom("first", "last")),
        ),
      ),
    ),
  ) as never;

describe("everywhere", () => {
  test("pages of all shards, laid end to end, are the rows of one table in its order: any types, directions, NULLs and ties", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rowOf, { minLength: 1, maxLength: 25 }),
        fc.array(fc.tuple(orderOf, fc.constantFrom("asc", "desc"), fc.integer({ min: 1, max: 9 })), {
          minLength: 4,
          maxLength: 4,
        }),
        async (rows, asked) => {
          await fill(rows);
          for (const [order, direction, limit] of asked) {
            const orderBy: OrderBy<keyof Row & string>[] = [...order, ["id", direction as "asc" | "desc"]];
            const found = await pages(orderBy, limit);
            expect(found.flat()).toEqual(await twin(orderBy));
            for (const page of found.slice(0, -1)) expect(page.length).toBe(limit);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test("each type alone, in both directions, where all rows are ties but for the shard's own order", async () => {
    await fill(
      Array.from(
        { length: 12 },
        (_, n) =>
          Object.fromEntries(columnNames.map((c) => [c, n % 3 === 0 ? null : sampleOf(c)])) as Record<
            Column,
            string | null
          >,
      ),
    );
    for (const column of columnNames) {
      for (const direction of ["asc", "desc"] as const) {
        const orderBy = [
          [column, direction],
          ["id", "asc"],
        ] as const;
        expect((await pages(orderBy, 5)).flat()).toEqual(await twin(orderBy));
      }
    }
  });

  test("a shard that has most of a page is asked again, also where its rows are equal", async () => {
    // 60 rows on shard 0, a few on the others: more than a shard's share of a page.
    const idOf = (n: number) => (n < 60 ? 5 * n : 5 * n + (n % 4) + 1);
    const rows = Array.from({ length: 70 }, (_, n) => ({
      ...nulls,
      whole: n < 60 ? String(n % 3) : "9",
      words: n < 60 ? "same" : null,
    }));
    await fill(rows, idOf);
    for (const limit of [50, 60, 69, 70, 100]) {
      for (const direction of ["asc", "desc"] as const) {
        const orderBy = [
          ["whole", direction],
          ["id", "asc"],
        ] as const;
        expect((await pages(orderBy, limit)).flat()).toEqual(await twin(orderBy));
      }
    }
    const equal = (await pages([["words", "asc"]], 100)).flat();
    expect(equal.map(Number).sort((a, b) => a - b)).toEqual(
      rows.map((_, n) => idOf(n)).sort((a, b) => a - b),
    );
  });

  test("rows that are equal across shards are each shown once", async () => {
    await fill(Array.from({ length: 5 }, () => ({ ...nulls, whole: "7" })));
    expect((await pages([["whole", "asc"]], 1)).flat().sort()).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("a page that would end between equal rows of a shard is refused rather than lose one", async () => {
    await fill(Array.from({ length: 10 }, () => ({ ...nulls, whole: "7" })));
    await expect(pages([["whole", "asc"]], 3)).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      message: expect.stringContaining("primary key"),
    });
  });

  test("conditions and parameters of the select hold on each shard, and given shards alone are asked", async () => {
    await fill(Array.from({ length: 20 }, (_, n) => ({ ...nulls, whole: String(n) })));
    const ask = (shards?: readonly number[]) =>
      facts.everywhere({ orderBy: [["id", "desc"]], level: "strong", ...(shards ? { shards } : {}) }, (db) =>
        db.selectFrom("fact").select("id").where("whole", ">", "9"),
      );
    expect((await ask()).rows.map(({ id }) => Number(id))).toEqual([19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
    expect((await ask([2, 3])).rows.map(({ id }) => Number(id))).toEqual([18, 17, 13, 12]);
    expect(await ask().then(({ rows }) => Object.keys(rows[0] ?? {}))).toEqual(["id"]);
  });

  test("a shard that does not answer fails the whole, or is named, within the deadline", async () => {
    await fill(Array.from({ length: 10 }, () => nulls));
    const ask = (onFailure: "refuse" | "report", timeoutMs: number) =>
      inCall(new Call(systemClock, { timeoutMs }), () =>
        facts.everywhere({ orderBy: [["id", "asc"]], onFailure }, (db) => db.selectFrom("fact").select("id")),
      );
    await ask("refuse", 5_000);
    const second = postgres.members[1];
    await second?.pause();
    try {
      await expect(ask("refuse", 500)).rejects.toMatchObject({
        code: "HOLDFAST_DEADLINE",
        outcome: "not-applied",
      });
      const page = await ask("report", 1_500);
      expect(page.failed.map(({ shard, node, error }) => [shard, node, error.code])).toEqual([
        [1, "node-2", "HOLDFAST_DEADLINE"],
        [3, "node-2", "HOLDFAST_DEADLINE"],
      ]);
      expect(page.rows.map(({ id }) => Number(id) % 5)).toEqual([0, 2, 4, 0, 2, 4]);
    } finally {
      await second?.resume();
    }
  });

  test("who gives up is not kept waiting", async () => {
    const stop = new AbortController();
    const asked = inCall(new Call(systemClock, { signal: stop.signal }), () =>
      facts.everywhere({ orderBy: [["id", "asc"]], onFailure: "report" }, (db) =>
        db
          .selectFrom("fact")
          .select(["id", sql`pg_sleep(60)`.as("slept")])
          .where(sql<boolean>`pg_sleep(60) is not null`),
      ),
    );
    setImmediate(() => stop.abort());
    await expect(asked).rejects.toMatchObject({ code: "HOLDFAST_ABORTED" });
  });
});

describe("what everywhere refuses", () => {
  const ask = (
    options: object,
    build: (db: Kysely<Tables>) => unknown = (db) => db.selectFrom("fact").select("id"),
  ) => facts.everywhere({ orderBy: [["id", "asc"]], ...options } as never, build as never);

  test("wrong options are told all at once, and nothing is sent", async () => {
    const wrong = {
      orderBy: [["a.b", "up"]],
      limit: 0,
      level: "fresh",
      onFailure: "ignore",
      atOncePerNode: 0,
      shards: [9, "1"],
      after: "x".repeat(5_000),
    };
    const error = await ask(wrong).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "HOLDFAST_INPUT_INVALID", outcome: "not-applied" });
    for (const field of ["orderBy[0]", "limit", "level", "onFailure", "atOncePerNode", "shards", "after"])
      expect((error as Error).message).toContain(field);
    for (const limit of [-1, 1.5, Number.NaN, 10_001, "10"])
      await expect(ask({ limit })).rejects.toThrow(/limit should be/);
    for (const orderBy of [
      [],
      undefined,
      [["id"]],
      [["id", "asc", "middle"]],
      [
        ["id", "asc"],
        ["id", "desc"],
      ],
    ])
      await expect(ask({ orderBy })).rejects.toMatchObject({ code: "HOLDFAST_INPUT_INVALID" });
  });

  test("what is taken on each shard alone is refused with the reason", async () => {
    const refused: [(db: Kysely<Tables>) => unknown, RegExp][] = [
      [(db) => db.selectFrom("fact").select("id").limit(1), /limit/],
      [(db) => db.selectFrom("fact").select("id").offset(1), /offset/],
      [(db) => db.selectFrom("fact").select("id").distinct(), /distinct/],
      [(db) => db.selectFrom("fact").select("id").orderBy("id"), /orderBy/],
      [(db) => db.selectFrom("fact").select(({ fn }) => fn.countAll().as("n")), /totals/],
      [(db) => db.selectFrom("fact").select("whole").groupBy("whole"), /group by/],
      [(db) => db.selectFrom("fact").select("id").union(db.selectFrom("fact").select("id")), /union/],
    ];
    for (const [build, reason] of refused) {
      await expect(ask({}, build)).rejects.toMatchObject({
        code: "HOLDFAST_UNROUTABLE",
        outcome: "not-applied",
        permanent: true,
        message: expect.stringMatching(reason),
      });
    }
    await expect(ask({}, async () => [])).rejects.toThrow(/built and not executed/);
    await expect(ask({}, () => sql`select 1`)).rejects.toThrow(/built and not executed/);
  });

  test("a type that has no common order is refused, and a column that is not there is the server's error", async () => {
    await fill([nulls]);
    const json = (db: Kysely<Tables>) => db.selectFrom("fact").select(["id", sql`'{}'::jsonb`.as("doc")]);
    await expect(ask({ orderBy: [["doc", "asc"]] }, json)).rejects.toThrow(/doc is of type jsonb.*cast it/);
    await expect(ask({ orderBy: [["nothing", "asc"]], onFailure: "report" })).rejects.toMatchObject({
      code: "HOLDFAST_SQL_ERROR",
      data: { sqlstate: "42703" },
    });
  });

  test("cursors of other queries and orders, and those that were changed, are refused; SQL in them is only text", async () => {
    await fill(Array.from({ length: 10 }, (_, n) => ({ ...nulls, words: `w${n}` })));
    const orderBy = [
      ["words", "asc"],
      ["id", "asc"],
    ] as const;
    const select = (db: Kysely<Tables>) => db.selectFrom("fact").select(["id", "words"]);
    const page = await facts.everywhere({ orderBy, limit: 3 }, select);
    const after = page.next as string;
    await expect(
      ask(
        {
          orderBy: [
            ["words", "desc"],
            ["id", "asc"],
          ],
          after,
        },
        select,
      ),
    ).rejects.toThrow(/another query/);
    await expect(ask({ orderBy, after })).rejects.toThrow(/another query/);
    for (const junk of ["", "e30", "!!!", after.slice(4), 7])
      await expect(ask({ orderBy, after: junk }, select)).rejects.toThrow(/after/);
    const [scope, shard, ...values] = JSON.parse(Buffer.from(after, "base64url").toString());
    const forge = (changed: unknown) => Buffer.from(JSON.stringify(changed)).toString("base64url");
    for (const changed of [
      [scope, 99, ...values],
      [scope, shard, "w1"],
      [scope, shard, "w1", "1; drop table fact"],
      [scope, shard, "a\0b", "1"],
      [scope, shard, {}, "1"],
    ])
      await expect(ask({ orderBy, after: forge(changed) }, select)).rejects.toMatchObject({
        code: "HOLDFAST_INPUT_INVALID",
      });
    const injected = await ask(
      { orderBy, after: forge([scope, shard, "w5'; drop table fact; --", "1"]) },
      select,
    );
    expect((injected.rows[0] as { words: string }).words).toBe("w6");
    await expect(ask({ orderBy: [['"; drop table fact; --', "asc"]] }, select)).rejects.toMatchObject({
      data: { sqlstate: "42703" },
    });
    expect((await facts.everywhere({ orderBy }, select)).rows.length).toBe(10);
  });
});

describe("totals", () => {
  test("add up to what one table answers", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rowOf, { maxLength: 25 }), async (rows) => {
        await fill(rows);
        const ask = (db: Kysely<Tables>) =>
          db
            .selectFrom("fact")
            .select(({ fn }) =>
              [
                fn.countAll().as("rows"),
                fn.count("words").as("words"),
                fn.sum("big").as("big"),
                fn.sum("exact").as("exact"),
                fn.min("exact").as("least"),
                fn.max("at").as("latest"),
                fn.min("big").as("smallest"),
                fn.max("double").as("greatest"),
                fn<boolean>("bool_or", ["flag"]).as("plain"),
              ].slice(0, 8),
            );
        const { rows: found } = await facts.totals({ level: "strong" }, ask);
        const [expected] = (await one.shards()[0]?.read("strong", (db) => ask(db).execute())) ?? [];
        expect(normal(found[0])).toEqual(normal(expected));
      }),
      { numRuns: 20 },
    );
  });

  test("groups are added up by their columns, NULL among them", async () => {
    await fill(
      Array.from({ length: 30 }, (_, n) => ({
        ...nulls,
        flag: n % 3 === 0 ? null : n % 3 === 1 ? "true" : "false",
        whole: String(n),
      })),
    );
    const ask = (db: Kysely<Tables>) =>
      db
        .selectFrom("fact")
        .select(({ fn }) => ["flag", fn.sum("whole").as("sum"), fn.countAll().as("n")])
        .groupBy("flag");
    const { rows, failed } = await facts.totals({ level: "strong" }, ask);
    const expected = (await one.shards()[0]?.read("strong", (db) => ask(db).execute())) ?? [];
    const byFlag = (list: readonly object[]) =>
      [...list].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
    expect(byFlag(rows)).toEqual(byFlag(expected));
    expect(failed).toEqual([]);
  });

  test("what does not add up is refused with the reason", async () => {
    const refused: [(db: Kysely<Tables>) => unknown, RegExp][] = [
      [(db) => db.selectFrom("fact").select(({ fn }) => fn.avg("whole").as("x")), /sum and count/],
      [(db) => db.selectFrom("fact").select(({ fn }) => fn.count("whole").distinct().as("x")), /distinct/],
      [(db) => db.selectFrom("fact").select("whole"), /group by/],
      [
        (db) =>
          db
            .selectFrom("fact")
            .select(({ fn }) => fn.countAll().as("n"))
            .groupBy("flag"),
        /flag should be in the select/,
      ],
      [
        (db) =>
          db
            .selectFrom("fact")
            .select(({ fn }) => ["flag", fn.countAll().as("n")])
            .groupBy("flag")
            .limit(1),
        /limit/,
      ],
      [
        (db) =>
          db
            .selectFrom("fact")
            .select(({ fn }) => fn.countAll().as("n"))
            .having(({ fn }) => fn.countAll(), ">", 1),
        /having/,
      ],
    ];
    for (const [build, reason] of refused)
      await expect(facts.totals({}, build as never)).rejects.toMatchObject({
        code: "HOLDFAST_UNROUTABLE",
        message: expect.stringMatching(reason),
      });
  });
});

const nulls = Object.fromEntries(columnNames.map((column) => [column, null])) as Record<Column, null>;

function sampleOf(column: Column): string {
  const samples: Partial<Record<Column, string>> = {
    words: "é",
    short: "x",
    unique: "6f1f7c7e-0000-4000-8000-000000000001",
    at: "2026-01-31 23:59:59.999999+00",
    local: "2026-01-31 23:59:59.999999",
    day: "2026-01-31",
    flag: "true",
  };
  return samples[column] ?? "7";
}

/** 1.0 and 1.00 are one number: which of them a sum shows depends on the order of adding up. */
function normal(row: object | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row ?? {}).map(([name, value]) => [
      name,
      typeof value === "string" && /^-?\d+\.\d*$/.test(value)
        ? value.replace(/\.?0+$/, "").replace(/^-0?$/, "0")
        : value,
    ]),
  );
}

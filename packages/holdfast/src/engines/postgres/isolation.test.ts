import { readFile } from "node:fs/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import {
  hermitageSuite,
  hermitageTable,
  hermitageTables,
} from "../../parts/database/isolation-conformance.ts";
import type { DatabasePort } from "../../parts/database/port.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let nodes: DatabaseNodes;
let port: DatabasePort;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 2 });
  const declaration = database<never>("isolated", { shards: { count: 2 }, replicas: 1 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "isolation" });
  await migrateDatabase(declaration, nodes);
  port = postgresDatabase(declaration, nodes, systemClock);
  for (const shard of [0, 1])
    await port.write(
      shard,
      (tx) =>
        sql
          .raw(hermitageTables)
          .execute(tx)
          .then(() => {}),
      {},
    );
});
afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
});

const insert = (shard: number, id: number, value: number) =>
  port.write(
    shard,
    (tx) => sql`insert into hermitage values (${id}, ${value})`.execute(tx).then(() => {}),
    {},
  );
const shown = <T>(shard: number, query: string) =>
  port.read(shard, "strong", async (db) => (await sql<T>`${sql.raw(query)}`.execute(db)).rows);

hermitageSuite({ name: "postgres", open: async () => ({ port, close: async () => {} }) });

test("docs/isolation.md has the same table", async () => {
  const text = await readFile(new URL("../../../../../docs/isolation.md", import.meta.url), "utf8");
  for (const [title, verdicts] of Object.entries(hermitageTable))
    expect(text).toContain(`| ${title} | ${verdicts.join(" | ")} |`);
});

describe("a write at an isolation", () => {
  test.each(["read-committed", "repeatable-read", "serializable"] as const)(
    "%s has it from its BEGIN on, with a marker, a key, or neither",
    async (isolation) => {
      const ask = (options: object) =>
        port.write(
          1,
          async (tx) => {
            const { rows } = await sql<{
              is: string;
            }>`select current_setting('transaction_isolation') as is`.execute(tx);
            return rows[0]?.is;
          },
          { isolation, ...options },
        );
      const expected = isolation.replace("-", " ");
      expect(await ask({})).toBe(expected);
      expect(await ask({ marker: false })).toBe(expected);
      expect(await ask({ idempotencyKey: `key-${isolation}` })).toBe(expected);
      expect(await ask({})).toBe(expected);
    },
  );

  test.each(["repeatable-read", "serializable"] as const)(
    "%s with one key from many callers at once happens once",
    async (isolation) => {
      const id = isolation === "serializable" ? 100 : 101;
      await insert(1, id, 0);
      let runs = 0;
      const once = () =>
        port.write(
          1,
          async (tx) => {
            runs++;
            await sql`update hermitage set value = value + 1 where id = ${id}`.execute(tx);
            return "done";
          },
          { isolation, idempotencyKey: `turns-${isolation}` },
        );
      expect(await Promise.all([1, 2, 3, 4, 5, 6].map(once))).toEqual(Array(6).fill("done"));
      expect(await shown(1, `select value from hermitage where id = ${id}`)).toEqual([{ value: 1 }]);
      expect(runs).toBeGreaterThan(0);
      // No lock is left behind on a session that others use.
      expect(
        await shown(
          1,
          "select count(*)::int as n from pg_locks where locktype = 'advisory' and objsubid = 1",
        ),
      ).toEqual([{ n: 0 }]);
    },
  );

  test("serializable writes that would not fit any order are run again until each of them does", async () => {
    await insert(1, 200, 0);
    const add = () =>
      port.write(
        1,
        async (tx) => {
          const { rows } = await sql<{ value: number }>`select value from hermitage where id = 200`.execute(
            tx,
          );
          await sql`update hermitage set value = ${(rows[0]?.value ?? 0) + 1} where id = 200`.execute(tx);
        },
        { isolation: "serializable" },
      );
    await Promise.all([1, 2, 3, 4].map(add));
    expect(await shown(1, "select value from hermitage where id = 200")).toEqual([{ value: 4 }]);
  });

  test("that is not known is refused, and never reaches SQL", async () => {
    const isolation = "serializable; drop table hermitage" as never;
    await expect(port.write(1, async () => {}, { isolation })).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      data: { problems: [expect.stringContaining("one of read-committed, repeatable-read, serializable")] },
    });
    await expect(port.read(1, { isolation, waitMs: -1 }, async () => {})).rejects.toMatchObject({
      code: "HOLDFAST_INPUT_INVALID",
      data: {
        problems: [expect.stringContaining("waitMs"), expect.stringContaining("isolation should be one of")],
      },
    });
    await expect(port.read(1, { isolation: "serializable" as never }, async () => {})).rejects.toMatchObject({
      data: { problems: [expect.stringContaining("standbys cannot run it")] },
    });
    await shown(1, all());
  });
});

const all = () => "select * from hermitage";

describe("a read at repeatable-read", () => {
  const between = (level: "strong" | "eventual", isolation: "read-committed" | "repeatable-read") =>
    port.read(1, { level, isolation }, async (db) => {
      const count = async () =>
        Number((await sql<{ n: string }>`select count(*) as n from hermitage`.execute(db)).rows[0]?.n);
      const before = await count();
      await insert(1, 300 + (Math.floor(systemClock.monotonicMs() * 1000) % 1_000_000_000), 1);
      await postgres.caughtUp();
      return (await count()) - before;
    });

  test("sees one snapshot in all its statements, on the primary and on a replica; each its own otherwise", async () => {
    expect(await between("strong", "read-committed")).toBe(1);
    expect(await between("strong", "repeatable-read")).toBe(0);
    expect(await between("eventual", "read-committed")).toBe(1);
    expect(await between("eventual", "repeatable-read")).toBe(0);
  });

  test("cannot write, leaves no transaction behind, and the session learns what it saw", async () => {
    const call = new Call(systemClock);
    await inCall(call, async () => {
      const how = { level: "session", isolation: "repeatable-read" } as const;
      await expect(port.read(1, how, (db) => sql`delete from hermitage`.execute(db))).rejects.toMatchObject({
        data: { sqlstate: "25006" },
      });
      await expect(port.read(1, how, (db) => sql`select 1 / 0`.execute(db))).rejects.toMatchObject({
        data: { sqlstate: "22012" },
      });
      expect(
        await port.read(1, how, async (db) => (await sql`${sql.raw(all())}`.execute(db)).rows.length),
      ).toBeGreaterThan(0);
      expect(call.session.get("node-1")?.read).toBeDefined();
    });
    expect(
      await shown(
        1,
        "select count(*)::int as n from pg_stat_activity where state ~ '^idle in transaction' and datname = current_database()",
      ),
    ).toEqual([{ n: 0 }]);
  });
});

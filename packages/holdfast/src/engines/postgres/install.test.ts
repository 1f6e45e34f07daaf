import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { keyHash } from "../../placement/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { installFramework, installOnNode, installSteps, type Library } from "./install.ts";
import { isOlder, libraryVersion } from "./install-step.ts";
import { lockWarnings } from "./lock-rules/index.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import type { PgSession } from "./session.ts";

let postgres: TestPostgres;
let nodes: DatabaseNodes;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "install" });
});
afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
});

const ask = async <Row>(text: string, values: readonly unknown[] = []) =>
  (await nodes.primary(nodes.home).use((session) => session.send<Row>({ text, values }))).rows;

test("every step runs once on every node, however many processes start at once", async () => {
  await Promise.all([1, 2, 3, 4].map(() => installFramework(nodes)));
  await installFramework(nodes);
  for (const node of nodes.config.nodes) {
    const { rows } = await nodes
      .primary(node.name)
      .use((session) =>
        session.send({ text: "select name, version from holdfast.install order by installed_at, name" }),
      );
    const steps = installSteps.map(({ name, version }) => ({ name, version }));
    expect(rows).toHaveLength(steps.length);
    expect(rows).toEqual(expect.arrayContaining(steps));
  }
});

test("a step that fails leaves nothing, and the next version of a block is a further step", async () => {
  const config = await postgres.freshDatabase();
  const fresh = openDatabaseNodes(config, { clock: systemClock, applicationName: "install" });
  const first = { name: "block", version: 1, sql: "create table holdfast.block (id int)" };
  const broken = { name: "block", version: 2, sql: "alter table holdfast.nothing add column x int" };
  await expect(installFramework(fresh, [first, broken])).rejects.toMatchObject({
    code: "HOLDFAST_SQL_ERROR",
    data: { sqlstate: "42P01" },
  });
  const has = async (name: string) =>
    (
      await fresh.primary(fresh.home).use((session) =>
        session.send<{ is: boolean }>({
          text: "select to_regclass($1) is not null as is",
          values: [name],
        }),
      )
    ).rows[0]?.is;
  expect(await has("holdfast.block")).toBe(false);
  await installFramework(fresh, [first]);
  await installFramework(fresh, [first, { ...broken, sql: "alter table holdfast.block add column x int" }]);
  expect(await has("holdfast.block")).toBe(true);
  await fresh.close();
});

test("the database finds the same shard for a key as TypeScript does", async () => {
  await installFramework(nodes);
  await fc.assert(
    fc.asyncProperty(
      // Postgres text has no NUL, and UTF-8 no half of a surrogate pair.
      fc.array(
        fc.string({ unit: "grapheme", maxLength: 40 }).map((s) => s.replaceAll("\0", "")),
        {
          minLength: 100,
          maxLength: 100,
        },
      ),
      fc.integer({ min: 1, max: 1024 }),
      async (keys, count) => {
        const rows = await ask<{ shard: number }>(
          "select holdfast.key_shard(key, $2) as shard from unnest($1::text[]) with ordinality as k (key, n) order by n",
          [keys, count],
        );
        expect(rows.map((row) => row.shard)).toEqual(keys.map((key) => Number(keyHash(key) % BigInt(count))));
      },
    ),
    { numRuns: 25 },
  );
});

describe("two library versions", () => {
  const newer: Library = {
    version: "0.2.0",
    steps: [
      ...installSteps,
      { name: "marker", version: 2, sql: "alter table holdfast.marker add column note text" },
      { name: "extra", version: 1, sql: "create table holdfast.extra (id int)" },
    ],
  };
  const contracted: Library = {
    version: "0.3.0",
    steps: [
      ...newer.steps,
      {
        name: "marker",
        version: 3,
        sql: "alter table holdfast.marker drop column note",
        oldestLibrary: "0.2.0",
      },
    ],
  };

  test("run side by side while the newer installs its steps; only a contraction keeps the oldest out", async () => {
    const declaration = database<never>("beside", { shards: { count: 4 }, nodes: 2 });
    const config = await postgres.freshDatabase();
    const open = () => openDatabaseNodes(config, { clock: systemClock, applicationName: "beside" });
    const older = open();
    await migrateDatabase(declaration, older);
    const port = postgresDatabase(declaration, older, systemClock);
    await port.write(0, (tx) => sql`create table t (n int)`.execute(tx), {});
    // The older library writes, with its markers and keys, all the while.
    let written = 0;
    let stop = false;
    const writing = (async () => {
      for (let n = 1; !stop; n++) {
        const options = n % 2 === 0 ? { idempotencyKey: `key-${n}` } : {};
        await port.write(
          0,
          async (tx) => {
            await sql`insert into t values (${n})`.execute(tx);
          },
          options,
        );
        written++;
      }
    })();
    const next = open();
    await Promise.all(["node-1", "node-2"].map((node) => installOnNode(next, node, newer)));
    const during = written;
    await until(() => written > during + 5, { what: "the older library goes on writing" });
    stop = true;
    await writing;
    // Rolled back: the older library starts again, and finds steps that it does not know.
    await installFramework(older);
    await migrateDatabase(declaration, older);
    await port.write(0, (tx) => sql`insert into t values (0)`.execute(tx), {});
    const { rows } = await port.read(0, "strong", (db) =>
      sql<{ n: number }>`select count(*)::int as n from t`.execute(db),
    );
    expect(rows).toEqual([{ n: written + 1 }]);

    // A version later what nobody needs any more is taken away: the one before goes on, the oldest is refused.
    await installOnNode(next, "node-1", contracted);
    await installOnNode(next, "node-1", newer);
    const refused = {
      code: "HOLDFAST_INSTALL_NEWER",
      outcome: "not-applied",
      data: { version: "0.1.0", needs: "0.2.0", steps: ["marker 3"] },
    };
    await expect(installOnNode(older, "node-1")).rejects.toMatchObject(refused);
    await expect(migrateDatabase(declaration, older)).rejects.toMatchObject(refused);
    await older.close();
    await next.close();
  });

  test("a table of installed steps that has no word of versions yet gets it", async () => {
    const config = await postgres.freshDatabase();
    const old = openDatabaseNodes(config, { clock: systemClock, applicationName: "old" });
    await installFramework(old);
    const home = old.primary("node-1");
    const drop = async (session: PgSession) => {
      await session.send({ text: "begin read write" });
      await session.send({ text: "alter table holdfast.install drop column oldest_library" });
      await session.send({ text: "commit" });
    };
    await home.use(drop);
    await installFramework(old);
    await installOnNode(old, "node-1", contracted);
    await expect(installFramework(old)).rejects.toMatchObject({ code: "HOLDFAST_INSTALL_NEWER" });
    await old.close();
  });

  test("versions compare by their numbers", () => {
    expect(isOlder("0.9.0", "0.10.0")).toBe(true);
    expect(isOlder("1.0.0", "0.99.9")).toBe(false);
    expect(isOlder("1.2.3", "1.2.3")).toBe(false);
    expect(isOlder("1.2.3-beta.1", "1.2.4")).toBe(true);
  });

  test("the library's version is its package's", async () => {
    const text = await readFile(new URL("../../../package.json", import.meta.url), "utf8");
    expect(libraryVersion).toBe((JSON.parse(text) as { version: string }).version);
  });

  test("no step of ours takes away or changes what an older library uses, unless it says so", async () => {
    const takesAway = /^(?:drop-|rename-|set-schema|alter-type|set-not-null|truncate|add-column-not-null)/;
    const files = installSteps.map((step, index) => ({
      ...step,
      name: `${step.name} ${step.version}`,
      index,
    }));
    for (const { name, sql: text, oldestLibrary } of files) {
      const warnings = await lockWarnings([
        { name: "before", sql: "", pending: false },
        { name, sql: text, pending: true },
      ]);
      if (oldestLibrary === undefined)
        expect(warnings.filter(({ rule }) => takesAway.test(rule))).toEqual([]);
    }
  });
});

import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { keyHash } from "../../placement/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { installFramework, installSteps } from "./install.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

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

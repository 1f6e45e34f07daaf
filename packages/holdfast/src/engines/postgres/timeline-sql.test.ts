import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/database/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { grantRoles } from "./roles.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
});
afterAll(() => postgres?.stop());

test("a role that may not replicate learns the history of a timeline, and reads no other file", async () => {
  const owner = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "owner" });
  await installFramework(owner);
  await migrateDatabase(database<never>("told", { shards: { count: 1 } }), owner);
  const role = { name: "told", password: "0123456789abcdef", access: "read" } as const;
  await grantRoles(owner, [role], systemClock.random);
  await owner.close();
  await postgres.caughtUp();
  const [node] = postgres.config.nodes;
  const [replica] = node?.replicas ?? [];
  if (!replica) throw new Error("there is a replica");
  const admin = new pg.Client({ ...replica });
  await admin.connect();
  await admin.query("select pg_promote(true, 60)");
  await admin.end();

  const promoted = {
    name: "node-1",
    primary: { ...replica, user: role.name, password: role.password },
    replicas: [],
  };
  const nodes = openDatabaseNodes(
    { ...postgres.config, nodes: [promoted] },
    { clock: systemClock, applicationName: "told" },
  );
  try {
    const pool = nodes.primary("node-1");
    const { system, timeline } = await pool.use(async (session) => session.facts);
    expect(timeline).toBe(2);
    const line = await nodes.watch("node-1").histories.lineOf(pool, system, timeline);
    expect([...(line.forks ?? [])].map(([ancestor]) => ancestor)).toEqual([1]);
    // No such timeline, and nothing that would be a path.
    const none = (argument: string) =>
      pool.use((session) =>
        session.send({ text: `select holdfast.timeline_history(${argument}) as content` }),
      );
    expect((await none("99")).rows).toEqual([{ content: null }]);
    await expect(none("'../../etc/passwd'")).rejects.toMatchObject({ data: { sqlstate: "22P02" } });
  } finally {
    await nodes.close();
  }
});

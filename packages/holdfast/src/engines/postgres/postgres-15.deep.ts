/**
 * The database's conformance suite and the isolation cases on Debian's Postgres 15, the oldest that is supported.
 * Nothing is skipped: what the suites ask for, 15 has.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { conformanceTables, databaseSuite } from "../../parts/database/conformance.ts";
import { hermitageSuite, hermitageTables } from "../../parts/database/isolation-conformance.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let folder: string;
beforeAll(async () => {
  postgres = await startTestPostgres({ major: 15, nodes: 2, replicas: 1, shards: 4 });
  folder = await mkdtemp(join(tmpdir(), "hf-migrations-"));
  await writeFile(join(folder, "001_tables.sql"), conformanceTables + hermitageTables);
});
afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const open = async () => {
  const declaration = database<never>("conformance", {
    migrations: pathToFileURL(`${folder}/`),
    shards: { count: 4 },
    nodes: 2,
  });
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "conformance" });
  await migrateDatabase(declaration, nodes);
  return { port: postgresDatabase(declaration, nodes, systemClock), close: () => nodes.close() };
};

databaseSuite({ name: "Debian's postgres 15, two nodes with a replica each", open });
hermitageSuite({ name: "Debian's postgres 15", open });

test("it is 15", async () => {
  const { port, close } = await open();
  const version = await port.read(
    0,
    "strong",
    async (db) => (await sql<{ server_version_num: string }>`show server_version_num`.execute(db)).rows[0],
  );
  expect(version?.server_version_num).toMatch(/^15/);
  await close();
});

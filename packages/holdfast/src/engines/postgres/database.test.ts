import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { conformanceTables, databaseSuite } from "../../parts/database/conformance.ts";
import { shardingSuite } from "../../parts/database/sharding/conformance.ts";
import { type Database, database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { openSharded } from "./fixtures/sharded.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
let folder: string;

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
  folder = await mkdtemp(join(tmpdir(), "hf-migrations-"));
  await writeFile(join(folder, "001_tables.sql"), conformanceTables);
});
afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

databaseSuite({
  name: "postgres, two nodes with a replica each",
  open: async () => {
    const declaration = database<never>("conformance", {
      migrations: pathToFileURL(`${folder}/`),
      shards: { count: 4 },
      nodes: 2,
    }) as Database<never>;
    const config = await postgres.freshDatabase();
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "conformance" });
    await migrateDatabase(declaration, nodes);
    return { port: postgresDatabase(declaration, nodes, systemClock), close: () => nodes.close() };
  },
});

shardingSuite({
  name: "postgres, two nodes with a replica each",
  open: (declared, tables) => openSharded(postgres, declared, tables),
});

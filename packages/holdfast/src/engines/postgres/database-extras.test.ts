/** Lookups and reference tables pass their suites: on the embedded Postgres with replicas, and on Debian's 15. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { lookupConformance, lookupSuite } from "../../parts/database/lookup/conformance.ts";
import { referenceConformance, referenceSuite } from "../../parts/database/reference/conformance.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, type TestPostgresOptions } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

const nodeCount = 2;
const shardCount = 4;

const servers: readonly (TestPostgresOptions & { readonly name: string })[] = [
  { name: "postgres, two nodes with a replica each", replicas: 1 },
  { name: "Debian's Postgres 15, two nodes", major: 15 },
];

describe.each(servers)("$name", ({ name, ...options }) => {
  let postgres: TestPostgres;
  let folder: string;

  beforeAll(async () => {
    postgres = await startTestPostgres({ nodes: nodeCount, shards: shardCount, ...options });
    folder = await mkdtemp(join(tmpdir(), "hf-extras-"));
    for (const [part, sql] of [
      ["shards", lookupConformance.tables],
      ["reference", referenceConformance.migration],
    ] as const) {
      await mkdir(join(folder, part));
      await writeFile(join(folder, part, "001_tables.sql"), sql);
    }
  });
  afterAll(async () => {
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const open = async () => {
    const { replicas = 0 } = options;
    const { tables, maxRows } = referenceConformance;
    const declaration = database("extras", {
      migrations: pathToFileURL(`${join(folder, "shards")}/`),
      shards: { count: shardCount },
      nodes: nodeCount,
      replicas,
      lookups: lookupConformance.lookups,
      reference: { tables, maxRows, migrations: pathToFileURL(`${join(folder, "reference")}/`) },
    });
    const config = await postgres.freshDatabase();
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "extras" });
    await migrateDatabase(declaration, nodes);
    const port = postgresDatabase(declaration, nodes, systemClock);
    return { port, nodes: nodeCount, close: () => nodes.close() };
  };
  lookupSuite({ name, open });
  referenceSuite({ name, open });
});

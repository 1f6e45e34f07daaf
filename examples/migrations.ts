/**
 * Migrations: warnings before anything is run, short waits for locks, and an index that is built beside traffic.
 *
 *   node examples/migrations.ts
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { HoldfastError } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import {
  blockerText,
  migrateDatabase,
  openDatabaseNodes,
  planMigration,
  warningLines,
} from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

const folder = await mkdtemp(join(tmpdir(), "holdfast-example-"));
const file = (name: string, text: string) => writeFile(join(folder, name), text);
await file("001_link.sql", "create table link (code text primary key, hits int not null default 0);");

const links = database<never>("links", {
  migrations: pathToFileURL(folder),
  shards: { count: 2 },
  replicas: 0,
});
await using postgres = await startTestPostgres({ shards: 2 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });

const first = await migrateDatabase(links, nodes);
console.log(
  `the first migration of an empty database: ${first.applied} applied, ${first.warnings.length} warnings\n`,
);

// What a careful reviewer would say, said before it runs.
await file("002_index.sql", "create index link_hits on link (hits);");
const plan = await planMigration(links, nodes);
for (const { file: name, shards } of plan.pending)
  console.log(`pending: ${name} on shards ${shards.join(", ")}`);
for (const warning of plan.warnings) console.log(warningLines(warning).join("\n"));

// The safe form, as it was printed.
await file(
  "002_index.sql",
  "-- holdfast: no transaction\ncreate index concurrently link_hits on link (hits);",
);
const second = await migrateDatabase(links, nodes);
console.log(`\nthe safe form: ${second.applied} applied, ${second.warnings.length} warnings`);

// Somebody reads the table and stays in the transaction: the file lets go after 100 ms, and says who it was.
await file(
  "003_column.sql",
  "-- holdfast: safe because no release names it yet\nalter table link drop column hits;",
);
const reader = nodes.primary("node-1").use(async (session) => {
  await session.send({ text: "begin" });
  await session.send({ text: "select * from s0.link where code = 'a secret'" });
  await migrateDatabase(links, nodes, { lockTimeoutMs: 100, lockRetriesMax: 1 }).catch((error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error;
    const blockers = error.data.blockers as Parameters<typeof blockerText>[0][];
    console.log(
      `${error.code} after ${error.data.attempts} tries, by ${blockers[0] && blockerText(blockers[0])}`,
    );
  });
  await session.send({ text: "commit" });
});
await reader;
console.log(`when the reader has gone: ${(await migrateDatabase(links, nodes)).applied} applied`);

await nodes.close();
await rm(folder, { recursive: true });

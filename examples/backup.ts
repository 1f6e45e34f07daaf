/**
 * A backup, an accident, and the way back to the moment before it.
 *
 *   node examples/backup.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { restoreNodes, takeBackup } from "holdfast/backup";
import { systemClock } from "holdfast/clock";
import { startNode } from "holdfast/embedded-postgres";
import { startTestPostgres } from "holdfast/testkit";
import pg from "pg";

await using postgres = await startTestPostgres({ shards: 2, nodes: 2 });
const databases = { bank: postgres.config };
const folder = await mkdtemp(join(tmpdir(), "holdfast-backups-"));
const clock = systemClock;

async function ask(node: number, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...postgres.config.nodes[node]?.primary });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

for (const [index, node] of postgres.nodes.entries()) {
  await node.setArchive("default");
  await ask(index, "create table account (owner text primary key, cents int)");
  await ask(index, `insert into account values ('owner ${index}', 500)`);
}

const { manifest, dir } = await takeBackup({
  system: "example",
  version: "example",
  nodes: postgres.nodes.map((node) => ({
    name: node.name,
    endpoint: node.endpoints("postgres").primary,
    dataDir: node.primary.dataDir,
    archiveDir: node.archiveDir ?? undefined,
  })),
  databases,
  parent: folder,
  pauseWrites: true,
  sync: false, // an example need not outlive a power cut
  clock,
});
console.log(`backed up ${manifest.nodes.length} nodes; the cut is exact: ${manifest.cut.exact}`);

await ask(0, "update account set cents = cents + 1");
const before = clock.wallMs() + 1;
await clock.sleep(5);
await ask(0, "update account set cents = 0");
console.log("after the accident:", await ask(0, "select * from account"));

const [first] = postgres.nodes;
await Promise.all(postgres.nodes.map((node) => node.stop()));
const restored = await restoreNodes({
  backupDir: dir,
  target: { kind: "time", atMs: before },
  dir: dirname(first?.dir ?? ""),
  sync: false,
  clock,
});
for (const { node, timeline, stoppedAt } of restored.nodes) {
  console.log(`${node}: stopped at ${stoppedAt}, goes on as timeline ${timeline}`);
}

const again = await Promise.all(postgres.nodes.map(({ name, dir }) => startNode({ name, dir })));
console.log("after the restore:", await ask(0, "select * from account"));
await Promise.all(again.map((node) => node.stop()));
await rm(folder, { recursive: true });

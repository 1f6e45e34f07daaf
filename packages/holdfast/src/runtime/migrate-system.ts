/**
 * Brings every database of a system to the state that its code expects: the framework's tables, then its own. Or
 * says what that would be.
 */
import type { Clock } from "../clock/index.ts";
import { postgresDatabase } from "../engines/postgres/database.ts";
import { openTopicLog } from "../engines/postgres/log-tables.ts";
import { partWords, readVersions, registerVersions } from "../engines/postgres/message-schemas.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { planMigration } from "../engines/postgres/migrate-pending.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { makeQueue } from "../engines/postgres/queue/queue.ts";
import { incompatibleError, versionProblems } from "../parts/schema/index.ts";
import { redeclareDatabase, type SystemDescription, versionedParts } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import type { MigrateEvent } from "./migrate-events.ts";

export interface MigrateSystemOptions {
  readonly clock: Clock;
  readonly tell: (event: MigrateEvent) => void;
}

/** How long the nodes have to get the reference tables before the system starts. */
const settleMs = 30_000;
/** Connections of the supervisor to each server while it migrates. */
const poolSize = 4;

/** @throws {HoldfastError} what the broken migration says, with its file */
export async function migrateSystem(
  description: SystemDescription,
  world: WorldConfig,
  { clock, tell }: MigrateSystemOptions,
): Promise<void> {
  await refuseIncompatible(description, world, clock);
  await eachDatabase(description, world, clock, async (described, nodes) => {
    const { name: database, shardCount: shards } = described;
    const declaration = redeclareDatabase(described);
    const done = await migrateDatabase(declaration, nodes, {
      onReference: (step) => tell({ kind: "reference", database, ...step }),
      onProgress: (step) => tell({ kind: "step", database, shards, ...step }),
      onWarning: (warning) => tell({ kind: "warning", database, warning }),
      onBlocked: (wait) => tell({ kind: "blocked", database, ...wait }),
    });
    tell({ kind: "migrated", database, files: done.files, shards, applied: done.applied });
    if (described.reference) {
      // A node that does not get them now gets them from the upkeep.
      const { behind } = await postgresDatabase(declaration, nodes, clock).reference.settle(settleMs);
      for (const { node, message } of behind) tell({ kind: "reference-behind", database, node, message });
    }
    // Parts may make no tables, so their topics' logs and their queues are there before them.
    const [first] = description.databases;
    for (const { name, home = first?.name, partitions, versions } of description.topics) {
      if (home !== database) continue;
      await nodes.primary(nodes.home).use(async (session) => {
        if (versions) await registerVersions(session, `topic/${name}`, versions);
        await openTopicLog(session, name, partitions);
      });
    }
    for (const { name, home = first?.name, options } of description.queues) {
      if (home !== database) continue;
      await nodes.primary(nodes.home).use((session) => makeQueue(session, name, options));
    }
  });
}

/** Before anything is changed: whether the messages of all parts can be read as they were registered. */
async function refuseIncompatible(
  description: SystemDescription,
  world: WorldConfig,
  clock: Clock,
): Promise<void> {
  const versioned = versionedParts(description);
  if (versioned.length === 0) return;
  const problems: string[] = [];
  await eachDatabase(description, world, clock, async ({ name: database }, nodes) => {
    for (const { part, home, versions } of versioned) {
      if (home !== database) continue;
      const kept = await nodes.primary(nodes.home).use((session) => readVersions(session, part));
      problems.push(...versionProblems(versions, kept).map((problem) => `${partWords(part)}: ${problem}`));
    }
  });
  if (problems.length > 0) throw incompatibleError(problems);
}

/** Changes nothing: tells one plan for each database. */
export function planSystem(
  description: SystemDescription,
  world: WorldConfig,
  { clock, tell }: MigrateSystemOptions,
): Promise<void> {
  return eachDatabase(description, world, clock, async (described, nodes) => {
    const plan = await planMigration(redeclareDatabase(described), nodes);
    tell({ kind: "plan", database: described.name, ...plan });
  });
}

async function eachDatabase(
  description: SystemDescription,
  world: WorldConfig,
  clock: Clock,
  run: (described: SystemDescription["databases"][number], nodes: DatabaseNodes) => Promise<void>,
): Promise<void> {
  for (const described of description.databases) {
    const config = world.databases[described.name];
    if (!config) throw new TypeError(`nobody says where database "${described.name}" is`);
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast migrate", poolSize });
    try {
      await run(described, nodes);
    } finally {
      await nodes.close();
    }
  }
}

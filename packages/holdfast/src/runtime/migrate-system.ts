/** Brings every database of a system to the state that its code expects: the framework's tables, then its own. */
import type { Clock } from "../clock/index.ts";
import { postgresDatabase } from "../engines/postgres/database.ts";
import { installFramework } from "../engines/postgres/install.ts";
import { openTopicLog } from "../engines/postgres/log-tables.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { redeclareDatabase, type SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";

export interface MigrateOptions {
  readonly clock: Clock;
  readonly progress: (text: string) => void;
}

/** How long the nodes have to get the reference tables before the system starts. */
const settleMs = 30_000;
/** Connections of the supervisor to each server while it migrates. */
const poolSize = 4;

/** @throws {HoldfastError} what the broken migration says, with its file */
export async function migrateSystem(
  description: SystemDescription,
  world: WorldConfig,
  { clock, progress }: MigrateOptions,
): Promise<void> {
  for (const described of description.databases) {
    const config = world.databases[described.name];
    if (!config) throw new TypeError(`nobody says where database "${described.name}" is`);
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast migrate", poolSize });
    try {
      await installFramework(nodes);
      const declaration = redeclareDatabase(described);
      await migrateDatabase(declaration, nodes, {
        onReference: ({ node, file }) =>
          progress(`Migrating ${described.name}: ${file}, reference on ${node}`),
        onProgress: ({ shard, file }) =>
          progress(`Migrating ${described.name}: ${file}, shard ${shard + 1} of ${described.shardCount}`),
      });
      if (described.reference) {
        // A node that does not get them now gets them from the upkeep.
        const { behind } = await postgresDatabase(declaration, nodes, clock).reference.settle(settleMs);
        for (const { node, message } of behind)
          progress(`Reference tables of ${described.name}: ${node} is behind: ${message}`);
      }
      // Parts may make no tables, so their topics' logs are there before them.
      const [first] = description.databases;
      for (const { name, home = first?.name, partitions } of description.topics) {
        if (home !== described.name) continue;
        await nodes.primary(nodes.home).use((session) => openTopicLog(session, name, partitions));
      }
    } finally {
      await nodes.close();
    }
  }
}

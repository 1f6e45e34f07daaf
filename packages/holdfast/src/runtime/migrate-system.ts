/**
 * Brings every database of a system to the state that its code expects: the framework's tables, then its own. Or
 * says what that would be.
 */
import type { Clock } from "../clock/index.ts";
import { installFramework } from "../engines/postgres/install.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { planMigration } from "../engines/postgres/migrate-pending.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { redeclareDatabase, type SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import type { MigrateEvent } from "./migrate-events.ts";

export interface MigrateSystemOptions {
  readonly clock: Clock;
  readonly tell: (event: MigrateEvent) => void;
}

/** Connections of the supervisor to each server while it migrates. */
const poolSize = 4;

/** @throws {HoldfastError} what the broken migration says, with its file */
export function migrateSystem(
  description: SystemDescription,
  world: WorldConfig,
  { clock, tell }: MigrateSystemOptions,
): Promise<void> {
  return eachDatabase(description, world, clock, async (described, nodes) => {
    const { name: database, shardCount: shards } = described;
    if (!described.migrations) await installFramework(nodes);
    const done = await migrateDatabase(redeclareDatabase(described), nodes, {
      onProgress: (step) => tell({ kind: "step", database, shards, ...step }),
      onWarning: (warning) => tell({ kind: "warning", database, warning }),
      onBlocked: (wait) => tell({ kind: "blocked", database, ...wait }),
    });
    tell({ kind: "migrated", database, files: done.files, shards, applied: done.applied });
  });
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

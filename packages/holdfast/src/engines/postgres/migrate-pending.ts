/**
 * What a migration would do, without doing it.
 */
import type { AnyDatabase } from "../../parts/database/index.ts";
import { checkShardMap } from "./database.ts";
import { missingSteps } from "./install.ts";
import type { InstallStep } from "./install-step.ts";
import { type LockWarning, lockWarnings } from "./lock-rules/index.ts";
import { type MigrationFile, readMigrations } from "./migrate-files.ts";
import { type PendingFile, pendingFiles, preparedShards, recordedFiles } from "./migrate-record.ts";
import type { DatabaseNodes } from "./nodes.ts";

export interface MigrationPlan {
  /** Files in the folder. */
  readonly files: number;
  readonly shards: number;
  /** In order, with the shards that do not have it yet. */
  readonly pending: readonly { readonly file: string; readonly shards: readonly number[] }[];
  /** Steps of the framework's own tables that a node does not have, as `marker 1`. */
  readonly steps: readonly string[];
  readonly warnings: readonly LockWarning[];
}

/**
 * Changes nothing and takes no lock.
 *
 * @throws {HoldfastError} HOLDFAST_MIGRATION_INVALID, HOLDFAST_MIGRATION_CHANGED, HOLDFAST_INSTALL_NEWER, or
 * HOLDFAST_UNAVAILABLE when a node cannot be asked
 */
export async function planMigration(declaration: AnyDatabase, nodes: DatabaseNodes): Promise<MigrationPlan> {
  checkShardMap(declaration, nodes);
  const { migrations, shardCount } = declaration.options;
  const files = migrations ? await readMigrations(migrations) : [];
  const names = nodes.config.nodes.map(({ name }) => name);
  // Shards may have moved from where they were declared.
  await nodes.map.refresh();
  const [perNode, steps] = await Promise.all([
    Promise.all(names.map((name) => pendingMigrations(files, nodes, name))),
    Promise.all(names.map((name) => nodes.primary(name).use((session) => missingSteps(session)))),
  ]);
  const shardsOf = new Map<number, number[]>();
  for (const { shard, file } of perNode.flat())
    shardsOf.set(
      file.number,
      [...(shardsOf.get(file.number) ?? []), shard].sort((a, b) => a - b),
    );
  const pending = files.flatMap(({ name, number }) => {
    const shards = shardsOf.get(number);
    return shards ? [{ file: name, shards }] : [];
  });
  const warnings = await lockWarnings(files.map((file) => ({ ...file, pending: shardsOf.has(file.number) })));
  const named = (step: InstallStep) => `${step.name} ${step.version}`;
  return {
    files: files.length,
    shards: shardCount,
    pending,
    steps: [...new Set(steps.flat().map(named))],
    warnings,
  };
}

/** Of one node. A shard that has no schema yet has everything before it. */
export async function pendingMigrations(
  files: readonly MigrationFile[],
  nodes: DatabaseNodes,
  node: string,
): Promise<readonly PendingFile[]> {
  const shards = nodes.map.shardsOn(node);
  const schemaOf = (shard: number) => nodes.map.place(shard).schema;
  const recorded = await nodes
    .primary(node)
    .use(async (session) =>
      recordedFiles(session, await preparedShards(session, { shards, schemaOf }), schemaOf),
    );
  return pendingFiles(recorded, { files, shards });
}

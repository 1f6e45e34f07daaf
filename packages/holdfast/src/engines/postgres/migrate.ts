/**
 * Migrations: the files of the folder, in order, on each shard, each once.
 *
 * One file on one shard is one transaction together with the row that records it, so that a failure or a killed
 * process leaves whole files behind, and the next run goes on from there. An advisory lock per node lets any
 * number of processes start at once. Nodes are migrated side by side, the shards of a node one after another; a
 * node that is down keeps nobody from the others.
 */
import { currentCall, HoldfastError } from "../../call/index.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import { checkShardMap } from "./database.ts";
import { installOnNode } from "./install.ts";
import { checkLayout } from "./layout.ts";
import { type LockWarning, lockWarnings } from "./lock-rules/index.ts";
import { makeLookupTables } from "./lookup/lookup-tables.ts";
import { applyFile } from "./migrate-apply.ts";
import { type NodeEnd, nodesError } from "./migrate-error.ts";
import { type MigrationFile, readMigrations } from "./migrate-files.ts";
import { takeMigrateLock } from "./migrate-lock.ts";
import { type MigrateOptions, type ResolvedMigrate, resolveMigrate } from "./migrate-options.ts";
import { pendingMigrations } from "./migrate-pending.ts";
import { makeSchemas, pendingFiles, recordedFiles } from "./migrate-record.ts";
import type { ShardLayout } from "./migrate-shard-sql.ts";
import type { DatabaseNodes } from "./nodes.ts";
import { overError, patienceOf } from "./pool-lease.ts";
import { checkReference, migrateReference } from "./reference/reference-migrate.ts";
import type { PgSession } from "./session.ts";
import { untilOver } from "./session-watch.ts";
import { adoptShardMap } from "./shard-map-adopt.ts";
import { readShardMap } from "./shard-map-store.ts";

export interface Migrated {
  /** Files in the folder. */
  readonly files: number;
  readonly shards: number;
  /** Files run now, over all shards; 0 when everything was there. */
  readonly applied: number;
  /** Of statements that were run now and stop others. */
  readonly warnings: readonly LockWarning[];
}

/**
 * Installs the framework's tables first, where they are missing. Ends with the current call: files that were applied
 * by then stay applied.
 *
 * @throws {HoldfastError} HOLDFAST_MIGRATION_INVALID, HOLDFAST_MIGRATION_CHANGED, HOLDFAST_MIGRATION_FAILED or
 * HOLDFAST_MIGRATION_BLOCKED, and what `installFramework` throws; HOLDFAST_MIGRATION_INCOMPLETE when only some of the
 * nodes could be reached; HOLDFAST_OPTIONS_INVALID when the data was placed in another way than is declared
 */
export async function migrateDatabase(
  declaration: AnyDatabase,
  nodes: DatabaseNodes,
  options: MigrateOptions = {},
): Promise<Migrated> {
  checkShardMap(declaration, nodes);
  const resolved = resolveMigrate(options);
  const { migrations, strategy, shardCount, lookups } = declaration.options;
  const files = migrations ? await readMigrations(migrations) : [];
  // Where the shards are is known at home; without it nothing can be migrated anywhere.
  await installOnNode(nodes, nodes.home);
  await adoptShardMap(nodes, shardCount);
  const warnings = await warningsAhead(files, nodes);
  for (const warning of warnings) options.onWarning?.(warning);
  // First, because the shards' tables may point at them.
  await migrateReference(declaration, nodes, options);
  const work = { files, strategy, shardCount, lookups, options: resolved };
  const ends = await Promise.all(nodes.config.nodes.map((node) => migrateNode(nodes, node.name, work)));
  const error = nodesError(ends);
  if (error) throw error;
  await checkReference(declaration, nodes);
  const applied = ends.reduce((sum, end) => sum + end.applied, 0);
  return { files: files.length, shards: shardCount, applied, warnings };
}

/** Before anything is run. A node that is down says so when it is migrated. */
async function warningsAhead(
  files: readonly MigrationFile[],
  nodes: DatabaseNodes,
): Promise<readonly LockWarning[]> {
  const asked = await Promise.allSettled(
    nodes.config.nodes.map(({ name }) => pendingMigrations(files, nodes, name)),
  );
  const pending = new Set(
    asked.flatMap((one) => (one.status === "fulfilled" ? one.value.map(({ file }) => file.number) : [])),
  );
  return lockWarnings(files.map((file) => ({ ...file, pending: pending.has(file.number) })));
}

interface NodeWork extends ShardLayout {
  readonly files: readonly MigrationFile[];
  readonly lookups: AnyDatabase["options"]["lookups"];
  readonly options: ResolvedMigrate;
}

/** Never rejects: how it ended is part of what all nodes have to tell. */
async function migrateNode(nodes: DatabaseNodes, node: string, work: NodeWork): Promise<NodeEnd> {
  const call = currentCall();
  const done = { applied: 0 };
  let session: PgSession | undefined;
  const pool = nodes.primary(node);
  try {
    await installOnNode(nodes, node);
    session = await pool.lease(patienceOf(call, nodes.clock));
    const leased = session;
    // It will carry a lock and settings, and ends with both.
    leased.taint();
    await untilOver(call, migrateOn(leased, nodes, node, work, done), () => {
      leased.cancelAndDestroy();
      return overError(call as NonNullable<typeof call>, "unknown");
    });
    return { node, applied: done.applied, error: undefined };
  } catch (error) {
    const known = error instanceof HoldfastError ? error : undefined;
    if (!known) throw error;
    return { node, applied: done.applied, error: known };
  } finally {
    if (session) pool.release(session);
  }
}

async function migrateOn(
  session: PgSession,
  nodes: DatabaseNodes,
  node: string,
  { files, lookups, options, ...layout }: NodeWork,
  done: { applied: number },
): Promise<void> {
  await takeMigrateLock(session, nodes.clock);
  // Behind the lock: a move that is under way ends first.
  if (node === nodes.home) await takeMap(session, nodes);
  else await nodes.map.refresh();
  const shards = nodes.map.shardsOn(node);
  const schemaOf = (shard: number) => nodes.map.place(shard).schema;
  await checkLayout(session, layout);
  await makeSchemas(session, { shards, schemaOf, ...layout });
  await makeLookupTables(session, shards.map(schemaOf), lookups);
  const pending = pendingFiles(await recordedFiles(session, shards, schemaOf), { files, shards });
  // Only the last commit waits for the disk: it is behind the others in the log, so it carries them.
  await session.send({ text: "set synchronous_commit to off" });
  for (const [index, { shard, file }] of pending.entries()) {
    if (index === pending.length - 1) session.push({ text: "reset synchronous_commit" });
    await applyFile(session, { shard, schema: schemaOf(shard) }, file, { nodes, node, options });
    done.applied++;
    options.onProgress?.({ node, shard, file: file.name });
  }
}

/** On the session that is there: a pool may have one only. */
async function takeMap(session: PgSession, nodes: DatabaseNodes): Promise<void> {
  const map = await readShardMap(session);
  if (map) nodes.map.take(map);
}

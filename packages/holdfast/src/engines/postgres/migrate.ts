/**
 * Migrations: the files of the folder, in order, on each shard, each once.
 *
 * One file on one shard is one transaction together with the row that records it, so that a failure or a killed
 * process leaves whole files behind, and the next run goes on from there. An advisory lock per node lets any
 * number of processes start at once. Nodes are migrated side by side, the shards of a node one after another.
 */
import { HoldfastError } from "../../call/index.ts";
import type { AnyDatabase } from "../../parts/database/index.ts";
import { checkShardMap } from "./database.ts";
import { installFramework } from "./install.ts";
import { checkLayout } from "./layout.ts";
import { makeLookupTables } from "./lookup/lookup-tables.ts";
import { type MigrationFile, readMigrations } from "./migrate-files.ts";
import { type ShardLayout, shardSchemaSql } from "./migrate-shard-sql.ts";
import type { DatabaseNodes } from "./nodes.ts";
import {
  checkReference,
  migrateReference,
  type ReferenceMigrateOptions,
} from "./reference/reference-migrate.ts";
import { searchPath } from "./search-path.ts";
import type { PgSession } from "./session.ts";
import { isServerError } from "./session-error.ts";
import { adoptShardMap } from "./shard-map-adopt.ts";

export interface MigrateOptions extends ReferenceMigrateOptions {
  /** Called after each file on each shard. */
  readonly onProgress?: (step: { readonly shard: number; readonly file: string }) => void;
}

export interface Migrated {
  /** Files in the folder. */
  readonly files: number;
  readonly shards: number;
  /** Files run now, over all shards; 0 when everything was there. */
  readonly applied: number;
}

/** Held by the session that migrates a node, or moves a shard of it. */
export const migrateLock = "7525352680829580149";

export interface RecordedFile {
  readonly shard: number;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

/**
 * Installs the framework's tables first, where they are missing.
 *
 * @throws {HoldfastError} HOLDFAST_MIGRATION_INVALID, HOLDFAST_MIGRATION_CHANGED or HOLDFAST_MIGRATION_FAILED,
 * HOLDFAST_OPTIONS_INVALID when the data was placed in another way than is declared, and what `installFramework` throws; files that were applied before the failure stay applied
 */
export async function migrateDatabase(
  declaration: AnyDatabase,
  nodes: DatabaseNodes,
  options: MigrateOptions = {},
): Promise<Migrated> {
  checkShardMap(declaration, nodes);
  const { migrations, strategy, shardCount } = declaration.options;
  const files = migrations ? await readMigrations(migrations) : [];
  await installFramework(nodes);
  await adoptShardMap(nodes, shardCount);
  // First, because the shards' tables may point at them.
  await migrateReference(declaration, nodes, options);
  const applied = await Promise.all(
    nodes.config.nodes.map((node) => {
      const shards = nodes.map.shardsOn(node.name);
      const schemaOf = (shard: number) => nodes.map.place(shard).schema;
      return nodes.primary(node.name).use((session) =>
        migrateNode(session, {
          files,
          shards,
          schemaOf,
          strategy,
          shardCount,
          lookups: declaration.options.lookups,
          ...options,
        }),
      );
    }),
  );
  await checkReference(declaration, nodes);
  return { files: files.length, shards: shardCount, applied: applied.reduce((sum, count) => sum + count, 0) };
}

interface NodeWork extends MigrateOptions, ShardLayout {
  readonly files: readonly MigrationFile[];
  /** Those on this node. */
  readonly shards: readonly number[];
  readonly lookups: AnyDatabase["options"]["lookups"];
  schemaOf(shard: number): string;
}

async function migrateNode(session: PgSession, work: NodeWork): Promise<number> {
  // It will carry a lock and settings, and ends with both.
  session.taint();
  await session.send({ text: `select pg_advisory_lock(${migrateLock})` });
  await checkLayout(session, work);
  await makeSchemas(session, work);
  await makeLookupTables(session, work.shards.map(work.schemaOf), work.lookups);
  const pending = pendingFiles(await recordedFiles(session, work.shards, work.schemaOf), work);
  // Only the last commit waits for the disk: it is behind the others in the log, so it carries them.
  await session.send({ text: "set synchronous_commit to off" });
  for (const [index, { shard, file }] of pending.entries()) {
    if (index === pending.length - 1) session.push({ text: "reset synchronous_commit" });
    await applyFile(session, shard, work.schemaOf(shard), file);
    work.onProgress?.({ shard, file: file.name });
  }
  return pending.length;
}

async function makeSchemas(session: PgSession, { shards, schemaOf, ...layout }: NodeWork): Promise<void> {
  const schemas = shards.map(schemaOf);
  const { rows } = await session.send<{ ready: string }>({
    text: "select count(*) as ready from unnest($1::text[]) s where to_regprocedure(s || '.holds_key(text[])') is not null",
    values: [schemas],
  });
  if (Number(rows[0]?.ready) === schemas.length) return;
  await session.send({ text: "begin read write" });
  await session.send({
    text: shards.map((shard) => shardSchemaSql(shard, schemaOf(shard), layout)).join(""),
  });
  await session.send({ text: "commit" });
}

export async function recordedFiles(
  session: PgSession,
  shards: readonly number[],
  schemaOf: (shard: number) => string,
): Promise<readonly RecordedFile[]> {
  if (shards.length === 0) return [];
  const { rows } = await session.send<RecordedFile>({
    text: shards
      .map((s) => `select ${s} as shard, number, name, checksum from ${schemaOf(s)}.holdfast_migration`)
      .join(" union all "),
  });
  return rows;
}

/** Pure: what is left to do, file by file on each shard. @throws HOLDFAST_MIGRATION_CHANGED */
export function pendingFiles(
  recorded: readonly RecordedFile[],
  { files, shards }: Pick<NodeWork, "files" | "shards">,
): { readonly shard: number; readonly file: MigrationFile }[] {
  const done = new Set<string>();
  for (const { shard, number, name, checksum } of recorded) {
    const file = files[number - 1];
    if (!file || file.name !== name) throw changedError(shard, name, "is gone or has another name");
    if (file.checksum !== checksum) throw changedError(shard, name, "has changed");
    done.add(`${shard} ${number}`);
  }
  return shards.flatMap((shard) =>
    files.filter((file) => !done.has(`${shard} ${file.number}`)).map((file) => ({ shard, file })),
  );
}

export async function applyFile(
  session: PgSession,
  shard: number,
  schema: string,
  file: MigrationFile,
): Promise<void> {
  const begun = session.push({ text: "begin read write" });
  // For this file only, so that one that sets another path does not mislead the next.
  const placed = session.push({ text: `set local search_path to ${searchPath(schema)}` });
  try {
    await session.send({ text: file.sql });
    await placed;
    await begun;
    const recorded = session.push({
      text: `insert into ${schema}.holdfast_migration (number, name, checksum) values ($1, $2, $3)`,
      values: [file.number, file.name, file.checksum],
    });
    const committed = session.push({ text: "commit" });
    await recorded;
    await committed;
  } catch (error) {
    throw failedError(shard, file, error as HoldfastError);
  }
}

function changedError(shard: number, name: string, what: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_MIGRATION_CHANGED",
    `${name} was applied to shard ${shard} before, and now it ${what}. Put it back as it was, and write the change as a further file.`,
    { data: { shard, file: name } },
  );
}

function failedError(shard: number, file: MigrationFile, error: HoldfastError): HoldfastError {
  const server = isServerError(error.cause) ? error.cause : undefined;
  const at = server?.position === undefined ? undefined : lineAt(file.sql, Number(server.position));
  const where = at ? `, line ${at.line}: ${at.text.trim()}` : "";
  return new HoldfastError(
    "HOLDFAST_MIGRATION_FAILED",
    `${file.name} failed on shard ${shard}${where}\n${server?.message ?? error.message}\nNothing of this file was applied to this shard. Correct it and migrate again.`,
    {
      data: {
        shard,
        file: file.name,
        ...(server ? { sqlstate: server.code } : {}),
        ...(at ? { position: Number(server?.position), line: at.line } : {}),
      },
      cause: error,
    },
  );
}

/** @param position characters from 1, as Postgres counts them */
function lineAt(sql: string, position: number): { line: number; text: string } {
  const before = [...sql].slice(0, position - 1).join("");
  const line = before.split("\n").length;
  return { line, text: sql.split("\n")[line - 1] ?? "" };
}

/**
 * What each shard remembers of migrations: the files that were applied, with their checksums.
 */
import { guardIsThere } from "./commit-guard.ts";
import { changedError } from "./migrate-error.ts";
import type { MigrationFile } from "./migrate-files.ts";
import { type ShardLayout, shardSchemaSql } from "./migrate-shard-sql.ts";
import type { PgSession, Statement } from "./session.ts";

export interface RecordedFile {
  readonly shard: number;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

export interface PendingFile {
  readonly shard: number;
  readonly file: MigrationFile;
}

/** Shards, and the schemas that they are in. */
export interface PlacedShards {
  readonly shards: readonly number[];
  schemaOf(shard: number): string;
}

export async function makeSchemas(
  session: PgSession,
  { shards, schemaOf, ...layout }: PlacedShards & ShardLayout,
): Promise<void> {
  const { rows } = await session.send<{ ready: string }>({
    text: `select count(*) as ready from unnest($1::text[]) s
      where to_regprocedure(s || '.holds_key(text[])') is not null and ${guardIsThere("s")}`,
    values: [shards.map(schemaOf)],
  });
  if (Number(rows[0]?.ready) === shards.length) return;
  await session.send({ text: "begin read write" });
  // Of a schema that is there the guards may be in use: better to fail, and be asked again, than to hold up traffic.
  await session.send({ text: "set local lock_timeout to '5s'" });
  await session.send({
    text: shards.map((shard) => shardSchemaSql(shard, schemaOf(shard), layout)).join(""),
  });
  await session.send({ text: "commit" });
}

/** Those of the shards whose schema is there. */
export async function preparedShards(
  session: PgSession,
  { shards, schemaOf }: PlacedShards,
): Promise<readonly number[]> {
  const { rows } = await session.send<{ shard: number }>({
    text: `select shard from unnest($1::int[], $2::text[]) as placed (shard, name)
      where to_regclass(name || '.holdfast_migration') is not null`,
    values: [shards, shards.map(schemaOf)],
  });
  return rows.map(({ shard }) => shard);
}

export async function recordedFiles(
  session: PgSession,
  shards: readonly number[],
  schemaOf: PlacedShards["schemaOf"],
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
  { files, shards }: { readonly files: readonly MigrationFile[]; readonly shards: readonly number[] },
): PendingFile[] {
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

export function recordSql(schema: string, file: MigrationFile): Statement {
  return {
    text: `insert into ${schema}.holdfast_migration (number, name, checksum) values ($1, $2, $3)`,
    values: [file.number, file.name, file.checksum],
  };
}

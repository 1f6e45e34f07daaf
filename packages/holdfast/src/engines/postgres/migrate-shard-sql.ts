/**
 * What every shard's schema has before the user's migrations run.
 */
import type { ResolvedDatabaseOptions } from "../../parts/database/index.ts";
import { guardTableSql } from "./commit-guard.ts";
import { holdsKeySql } from "./holds-key-sql.ts";

/** What decides which rows a shard may have. */
export type ShardLayout = Pick<ResolvedDatabaseOptions, "strategy" | "shardCount">;

/**
 * `holds_key` says whether a key belongs to the shard: migrations write `check (holds_key(code))`, and a row that
 * was sent to the wrong shard is refused by the database itself. It may run again on a schema that is there.
 */
export function shardSchemaSql(shard: number, schema: string, { strategy, shardCount }: ShardLayout): string {
  return `create schema if not exists ${schema};
set local search_path to ${schema}, public;
${guardTableSql};
create table if not exists holdfast_migration (
  number int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
);
${holdsKeySql(strategy, shard, shardCount)}`;
}

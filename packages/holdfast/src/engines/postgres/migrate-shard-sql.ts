/**
 * What every shard's schema has before the user's migrations run.
 */
import { guardTableSql } from "./commit-guard.ts";

/**
 * `holds_key` says whether a key belongs to the shard: migrations write `check (holds_key(code))`, and a row that
 * was sent to the wrong shard is refused by the database itself.
 */
export function shardSchemaSql(shard: number, schema: string, shardCount: number): string {
  return `create schema if not exists ${schema};
set local search_path to ${schema}, public;
${guardTableSql};
create table if not exists holdfast_migration (
  number int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
);
create or replace function holds_key(key text) returns boolean
  language sql immutable strict parallel safe return holdfast.key_shard(key, ${shardCount}) = ${shard};
create or replace function holds_key(key bigint) returns boolean
  language sql immutable strict parallel safe return holdfast.key_shard(key::text, ${shardCount}) = ${shard};
`;
}

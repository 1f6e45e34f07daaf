/**
 * Where reference tables are: in schema `ref` of each node's database, behind the shard's schema in the search path.
 *
 * A row of `holdfast_version` says which version a node has: a number for people, and a stamp that no two versions
 * share, also where a failover has lost one. A trigger on each table refuses writes that come any other way than
 * through the home node, because they would be on one node only.
 */
import pg from "pg";
import { referenceSchema } from "../search-path.ts";

export { referenceSchema };

/** Of the transaction that copies to a node: one at a time per node. */
export const copyLock = "7525352680829580151";

/** Lets the transaction that says it write reference tables. */
export const allowWritesSql = "set local holdfast.reference = 'on'";

/** SQLSTATE of the trigger's refusal. */
export const guardSqlState = "HF002";

export const referenceSchemaSql = `
create schema if not exists ${referenceSchema};
create table if not exists ${referenceSchema}.holdfast_migration (
  number int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
);
create table if not exists ${referenceSchema}.holdfast_version (
  only_row boolean primary key default true check (only_row),
  version bigint not null,
  stamp uuid not null,
  changed_at timestamptz not null default now()
);
insert into ${referenceSchema}.holdfast_version (version, stamp)
  values (0, '00000000-0000-0000-0000-000000000000') on conflict do nothing;
create or replace function ${referenceSchema}.holdfast_guard() returns trigger language plpgsql as $$
begin
  if current_setting('holdfast.reference', true) is distinct from 'on' then
    raise exception using errcode = '${guardSqlState}',
      message = format('%s is a reference table, and a row written here would be on this node only: write it with reference.write()', tg_table_name);
  end if;
  return null;
end $$;
`;

export const bumpVersionSql = `update ${referenceSchema}.holdfast_version
  set version = version + 1, stamp = gen_random_uuid(), changed_at = now()`;

export const versionSql = `select version::float8 as version, stamp from ${referenceSchema}.holdfast_version`;

export interface Version {
  readonly version: number;
  readonly stamp: string;
}

/** The name of a reference table for SQL. */
export function tableSql(table: string): string {
  return `${referenceSchema}.${pg.escapeIdentifier(table)}`;
}

export interface TableShape {
  readonly table: string;
  /** With their types, in the order in which a row is written as text. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly generated: boolean }[];
  readonly primaryKey: readonly string[];
  /** Other reference tables that its rows point at. */
  readonly parents: readonly string[];
  readonly guarded: boolean;
}

/** The shapes of all reference tables, from the catalog of one node; one row with JSON. */
export const shapesSql = `select coalesce(json_agg(json_build_object(
    'table', c.relname,
    'columns', (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'generated', a.attgenerated <> '') order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'primaryKey', coalesce((select json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum))
      from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
      where i.indrelid = c.oid and i.indisprimary), '[]'),
    'parents', coalesce((select json_agg(distinct p.relname) from pg_constraint f join pg_class p on p.oid = f.confrelid
      where f.conrelid = c.oid and f.contype = 'f' and p.relnamespace = c.relnamespace and p.oid <> c.oid), '[]'),
    'guarded', exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgname = 'holdfast_guard')
  ) order by c.relname), '[]') as shapes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = '${referenceSchema}' and c.relkind in ('r', 'p') and not c.relispartition
   and c.relname not like 'holdfast\\_%'`;

/** Tables before those whose rows point at theirs; `undefined` when they point in a circle. */
export function parentsFirst(shapes: readonly TableShape[]): readonly TableShape[] | undefined {
  const ordered: TableShape[] = [];
  const placed = new Set<string>();
  let left = [...shapes];
  while (left.length > 0) {
    const ready = left.filter((shape) => shape.parents.every((parent) => placed.has(parent)));
    if (ready.length === 0) return undefined;
    for (const shape of ready) {
      ordered.push(shape);
      placed.add(shape.table);
    }
    left = left.filter((shape) => !placed.has(shape.table));
  }
  return ordered;
}

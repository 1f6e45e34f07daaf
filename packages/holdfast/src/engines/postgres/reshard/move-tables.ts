/** The tables of a shard, as the catalog of its server has them. */
import type { PgSession } from "../session.ts";
import { ident } from "./move-context.ts";

export interface ShardTable {
  readonly name: string;
  /** `r` for one that has rows, `p` for one that is the parent of its partitions. */
  readonly kind: "r" | "p";
  /** Whether it is written to the log, so that others can follow. */
  readonly logged: boolean;
  /** Whether a row that is updated or deleted can be named to others. */
  readonly identified: boolean;
  readonly bytes: number;
}

/** Filled where a shard is made, and not copied. */
export const migrationTable = "holdfast_migration";

export async function shardTables(session: PgSession, schema: string): Promise<ShardTable[]> {
  const { rows } = await session.send<Omit<ShardTable, "bytes"> & { bytes: string }>({
    text: `select c.relname as name, c.relkind as kind, c.relpersistence = 'p' as logged,
        c.relkind = 'p' or case c.relreplident
          when 'f' then true
          when 'i' then exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident)
          when 'd' then exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
          else false end as identified,
        pg_table_size(c.oid)::text as bytes
      from pg_class c where c.relnamespace = to_regnamespace($1) and c.relkind in ('r', 'p')
      order by c.relname`,
    values: [schema],
  });
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
}

/** Qualified names as a list for SQL; the users' tables, and the guards of consumers. */
export function tableList(schema: string, tables: readonly ShardTable[]): string {
  return tables.map(({ name }) => `${ident(schema)}.${ident(name)}`).join(", ");
}

/** Those whose rows are copied. */
export function copiedTables(tables: readonly ShardTable[]): ShardTable[] {
  return tables.filter(({ name, kind }) => kind === "r" && name !== migrationTable);
}

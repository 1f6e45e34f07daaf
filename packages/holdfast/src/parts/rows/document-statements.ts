/** The statements of a document table. Values are parameters, names were checked; reads are the query builder's own. */
import { sql } from "kysely";
import type { Statements } from "./keyed-table.ts";

export interface DocumentColumns {
  readonly key: string;
  readonly doc: string;
  readonly version: string;
}

export const documentColumns: DocumentColumns = { key: "key", doc: "doc", version: "version" };

export interface DocumentRow<Doc> {
  readonly key: string;
  readonly doc: Doc;
  /** Grows with every change. A document that is deleted and made again has a higher one than it ever had. */
  readonly version: number;
}

export type DocumentStatements<Doc> = ReturnType<typeof documentStatements<Doc>>;

export function documentStatements<Doc>(table: string, columns: DocumentColumns) {
  const id = {
    table: sql.id(table),
    key: sql.id(columns.key),
    doc: sql.id(columns.doc),
    version: sql.id(columns.version),
  };
  const select = (db: Statements) =>
    db
      .selectFrom(table)
      .select([`${columns.key} as key`, `${columns.doc} as doc`, `${columns.version} as version`]);
  const rowOf = (row: Record<string, unknown>): DocumentRow<Doc> => ({
    key: String(row.key),
    doc: row.doc as Doc,
    version: Number(row.version),
  });
  const versionOf = (row: { readonly version: unknown } | undefined) => row && Number(row.version);

  return {
    async one(db: Statements, key: string): Promise<DocumentRow<Doc> | undefined> {
      const row = await select(db).where(columns.key, "=", key).executeTakeFirst();
      return row && rowOf(row);
    },
    async many(db: Statements, keys: readonly string[]): Promise<DocumentRow<Doc>[]> {
      const found = await select(db)
        .where((is) => is(columns.key, "=", is.fn.any(is.val(keys))))
        .execute();
      return found.map(rowOf);
    },
    async locked(tx: Statements, key: string): Promise<DocumentRow<Doc> | undefined> {
      const row = await select(tx).where(columns.key, "=", key).forUpdate().executeTakeFirst();
      return row && rowOf(row);
    },
    async version(db: Statements, key: string): Promise<number | undefined> {
      return versionOf(await select(db).where(columns.key, "=", key).executeTakeFirst());
    },
    /** @returns the new version; `undefined` when `ifVersion` does not hold */
    async put(
      tx: Statements,
      key: string,
      json: string,
      ifVersion: number | "absent" | undefined,
    ): Promise<number | undefined> {
      const insert = sql`insert into ${id.table} as t (${id.key}, ${id.doc}) values (${key}, ${json}::jsonb)`;
      const changed = sql`${id.doc} = ${json}::jsonb, ${id.version} = t.${id.version} + 1`;
      const returning = sql`returning t.${id.version} as version`;
      const statement =
        ifVersion === undefined
          ? sql`${insert} on conflict (${id.key}) do update set ${changed} ${returning}`
          : ifVersion === "absent"
            ? sql`${insert} on conflict (${id.key}) do nothing ${returning}`
            : sql`update ${id.table} as t set ${changed} where t.${id.key} = ${key} and t.${id.version} = ${ifVersion} ${returning}`;
      const { rows } = await (statement as ReturnType<typeof sql<{ version: string }>>).execute(tx);
      return versionOf(rows[0]);
    },
    async remove(tx: Statements, key: string, ifVersion: number | undefined): Promise<boolean> {
      let remove = tx.deleteFrom(table).where(columns.key, "=", key);
      if (ifVersion !== undefined) remove = remove.where(columns.version, "=", ifVersion);
      const { numDeletedRows } = await remove.executeTakeFirst();
      return numDeletedRows > 0n;
    },
    /** The first `limit` documents behind `after` that contain `json`, by the bytes of their keys. */
    async containing(
      db: Statements,
      json: string,
      after: string | undefined,
      limit: number,
    ): Promise<DocumentRow<Doc>[]> {
      let query = select(db).where(columns.doc, "@>", sql`${json}::jsonb`);
      const key = sql<string>`${id.key} collate "C"`;
      if (after !== undefined) query = query.where(key, ">", after);
      return (await query.orderBy(key).limit(limit).execute()).map(rowOf);
    },
  };
}

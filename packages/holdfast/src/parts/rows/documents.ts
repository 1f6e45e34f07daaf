/**
 * JSON documents by key, in a table of the user's database: read and written like a document store, and part of the
 * same shards, transactions and read levels as every other table.
 *
 * The table is made by `select holdfast.create_documents('profile')` in a migration, or is any table with a text
 * key, a jsonb and a bigint version. What comes in fits the schema, whichever way it comes in.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AnyDatabase } from "../database/index.ts";
import {
  type DocumentColumns,
  type DocumentRow,
  documentColumns,
  documentStatements,
} from "./document-statements.ts";
import { type FindOptions, findPage, type Page } from "./find-page.ts";
import { refuseInput, wholeProblems } from "./input-error.ts";
import { checkedJson } from "./json-text.ts";
import { KeyedTable, type KeyedTableOptions, type ReadHow, type WriteHow } from "./keyed-table.ts";
import { mergePatch } from "./merge-patch.ts";
import { nameProblems } from "./names.ts";
import { type RetryConflictsOptions, retryConflicts } from "./retry-conflicts.ts";
import { versionConflict, versionProblems } from "./version-conflict.ts";

export interface DocumentsOptions<Doc> extends KeyedTableOptions {
  /** What every document has to fit; what it makes of the value is what is stored. Any Standard Schema. */
  readonly schema: StandardSchemaV1<unknown, Doc>;
  /** The most that a document may have as JSON, in bytes, 1 to 16_777_216. Default 1_048_576. */
  readonly bytesMax?: number;
  /** Names of the columns. Default: `key`, `doc` and `version`. */
  readonly columns?: Partial<DocumentColumns>;
}

export const documentsDefaults = { bytesMax: 1_048_576, columns: documentColumns } as const;

export interface ChangeHow extends WriteHow {
  /** Only if this is the version that is there; `absent`: only if there is none. */
  readonly ifVersion?: number | "absent";
}

export interface RemoveHow extends WriteHow {
  /** Only if this is the version that is there. */
  readonly ifVersion?: number;
}

/** JSON merge patch (RFC 7396): members replace, null removes, objects are merged, arrays are replaced whole. */
export type MergePatch<Doc> = Doc extends readonly unknown[]
  ? Doc
  : Doc extends object
    ? { readonly [Name in keyof Doc]?: MergePatch<Doc[Name]> | null }
    : Doc;

export interface Documents<Doc> {
  get(key: string, how?: ReadHow): Promise<DocumentRow<Doc> | undefined>;
  /** Those that are there. One statement for each shard that has any of the keys, side by side. */
  getMany(keys: readonly string[], how?: ReadHow): Promise<ReadonlyMap<string, DocumentRow<Doc>>>;
  /** @returns the new version. @throws {HoldfastError} HOLDFAST_VERSION_CONFLICT as `ifVersion` says */
  put(key: string, doc: Doc, how?: ChangeHow): Promise<number>;
  /** @returns the document as it is then; `undefined`, and nothing was done, where there is none */
  patch(key: string, patch: MergePatch<Doc>, how?: RemoveHow): Promise<DocumentRow<Doc> | undefined>;
  /**
   * Reads (`strong`), has `change` make a new document, and puts it if nobody else has meanwhile; again otherwise.
   *
   * @param change may be called several times; `undefined` leaves everything as it is
   */
  edit(
    key: string,
    change: (doc: Doc | undefined) => Doc | undefined | Promise<Doc | undefined>,
    options?: RetryConflictsOptions,
  ): Promise<DocumentRow<Doc> | undefined>;
  /** @returns whether there was one. @throws {HoldfastError} HOLDFAST_VERSION_CONFLICT as `ifVersion` says */
  delete(key: string, how?: RemoveHow): Promise<boolean>;
  /**
   * Documents that contain `match` (jsonb `@>`), by key, a page at a time: of all shards side by side, each with a
   * snapshot of its own. When one shard does not answer, the page fails.
   */
  find(match: MergePatch<Doc>, options?: FindOptions): Promise<Page<Doc>>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function documents<Doc>(
  database: AnyDatabase,
  table: string,
  options: DocumentsOptions<Doc>,
): Documents<Doc> {
  const { bytesMax = documentsDefaults.bytesMax, schema } = options;
  const columns: DocumentColumns = { ...documentColumns, ...options.columns };
  const rows = new KeyedTable("documents", database, table, options, [
    ...wholeProblems("bytesMax", bytesMax, 1, 16_777_216),
    ...(typeof schema?.["~standard"]?.validate === "function" ? [] : ["schema should be a Standard Schema"]),
    ...Object.entries(columns).flatMap(([field, name]) => nameProblems(`columns.${field}`, name)),
  ]);
  const rule = { what: rows.what, schema, bytesMax };
  const statements = documentStatements<Doc>(table, columns);
  const json = (value: unknown) => checkedJson(rule, value);

  const handle: Documents<Doc> = {
    get: (key, how = {}) => rows.read(key, how, (db) => statements.one(db, key)),
    async getMany(keys, how = {}) {
      const found = await rows.readMany(keys, how, (db, some) => statements.many(db, some));
      return new Map(found.map((row) => [row.key, row]));
    },
    async put(key, doc, how = {}) {
      const { ifVersion } = how;
      if (ifVersion !== undefined && ifVersion !== "absent")
        refuseInput(rows.what, versionProblems("ifVersion", ifVersion));
      const text = await json(doc);
      return rows.write(key, how, async (tx) => {
        const version = await statements.put(tx, key, text, ifVersion);
        if (version === undefined)
          throw versionConflict(table, ifVersion ?? "absent", await statements.version(tx, key));
        return version;
      });
    },
    async patch(key, patch, how = {}) {
      const { ifVersion } = how;
      if (ifVersion !== undefined) refuseInput(rows.what, versionProblems("ifVersion", ifVersion));
      return rows.write(key, how, async (tx) => {
        // Locked until the end of the transaction: patches of one document follow one another.
        const row = await statements.locked(tx, key);
        if (ifVersion !== undefined && row?.version !== ifVersion)
          throw versionConflict(table, ifVersion, row?.version);
        if (!row) return undefined;
        const text = await json(mergePatch(row.doc, patch));
        const version = await statements.put(tx, key, text, row.version);
        return { key, doc: JSON.parse(text) as Doc, version: version as number };
      });
    },
    edit: (key, change, retry) =>
      retryConflicts(async () => {
        const row = await handle.get(key, { level: "strong" });
        const doc = await change(row?.doc);
        if (doc === undefined) return row;
        const text = await json(doc);
        const version = await handle.put(key, doc, { ifVersion: row?.version ?? "absent" });
        return { key, doc: JSON.parse(text) as Doc, version };
      }, retry),
    async delete(key, how = {}) {
      const { ifVersion } = how;
      if (ifVersion !== undefined) refuseInput(rows.what, versionProblems("ifVersion", ifVersion));
      return rows.write(key, how, async (tx) => {
        const gone = await statements.remove(tx, key, ifVersion);
        if (!gone && ifVersion !== undefined)
          throw versionConflict(table, ifVersion, await statements.version(tx, key));
        return gone;
      });
    },
    find: (match, find = {}) => findPage(rows, statements, match, find),
  };
  return handle;
}

/**
 * Copying the reference tables to a node: a snapshot of all of them at home, put in place in one transaction.
 *
 * Rows are compared, so that those which are the same are not written again. Rows that are gone go children first,
 * rows that are new or changed come parents first. Under an advisory lock of the target, and the snapshot is taken
 * behind it: whoever copies later copies what is at least as new.
 */
import { type Kysely, sql, type Transaction } from "kysely";
import pg from "pg";
import { HoldfastError } from "../../../call/index.ts";
import type { AnyTables } from "../../../parts/database/port.ts";
import {
  allowWritesSql,
  copyLock,
  parentsFirst,
  referenceSchema,
  shapesSql,
  type TableShape,
  tableSql,
  type Version,
  versionSql,
} from "./reference-tables.ts";

/** All reference tables at one moment. */
export interface ReferenceSnapshot extends Version {
  readonly shapes: readonly TableShape[];
  /** Rows as Postgres writes them as text, by table. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
}

const rowName = "holdfast_row";

/** In one statement, so that version, tables and rows belong to one moment. */
export async function takeSnapshot(db: Kysely<AnyTables>): Promise<ReferenceSnapshot> {
  for (;;) {
    const tables = (await shapesOf(db)).map((shape) => shape.table);
    const parts = tables.map(
      (table) =>
        `union all select ${pg.escapeLiteral(table)}, (${rowName}.*)::text from ${tableSql(table)} ${rowName}`,
    );
    const { rows } = await sql
      .raw<{ part: string; text: string }>(
        `select '' as part, json_build_object('version', v.version, 'stamp', v.stamp,
            'shapes', (${shapesSql}))::text as text from (${versionSql}) v ${parts.join(" ")}`,
      )
      .execute(db);
    const head = JSON.parse(rows.find((row) => row.part === "")?.text ?? "") as Omit<
      ReferenceSnapshot,
      "rows"
    >;
    // A migration came in between: the rows of a table that it made are missing.
    if (head.shapes.map((shape) => shape.table).join() !== tables.join()) continue;
    const byTable = new Map<string, string[]>(tables.map((table) => [table, []]));
    for (const { part, text } of rows) if (part !== "") byTable.get(part)?.push(text);
    return { ...head, rows: byTable };
  }
}

export async function shapesOf(db: Kysely<AnyTables>): Promise<readonly TableShape[]> {
  const { rows } = await sql.raw<{ shapes: TableShape[] }>(shapesSql).execute(db);
  return rows[0]?.shapes ?? [];
}

/**
 * In a transaction on the target.
 *
 * @param snapshot taken only when the target's lock is held
 * @param replace delete changed rows and insert them again: where a unique value went from one row to another
 */
export async function putInPlace(
  tx: Transaction<AnyTables>,
  node: string,
  wanted: string,
  snapshot: () => Promise<ReferenceSnapshot>,
  replace: boolean,
): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(tx);
  await run(`select pg_advisory_xact_lock(${copyLock})`);
  const { rows } = await sql.raw<Version>(versionSql).execute(tx);
  if (rows[0]?.stamp === wanted) return;
  const source = await snapshot();
  const shapes = await shapesOf(tx);
  checkShapes(node, source.shapes, shapes);
  const ordered = parentsFirst(shapes);
  if (!ordered) throw new TypeError("reference tables point at each other in a circle"); // refused when migrated
  await run(allowWritesSql);
  for (const shape of [...ordered].reverse()) await removeRows(tx, shape, rowsOf(source, shape), replace);
  for (const shape of ordered) await addRows(tx, shape, rowsOf(source, shape));
  await sql`update ${sql.raw(`${referenceSchema}.holdfast_version`)}
    set version = ${source.version}, stamp = ${source.stamp}::uuid, changed_at = now()`.execute(tx);
}

function rowsOf(source: ReferenceSnapshot, shape: TableShape): readonly string[] {
  return source.rows.get(shape.table) ?? [];
}

/** @throws {HoldfastError} while the target has been migrated less far, or further, than the home node */
function checkShapes(node: string, home: readonly TableShape[], there: readonly TableShape[]): void {
  const told = (shapes: readonly TableShape[]) =>
    new Map(
      shapes.map(({ table, columns }) => [
        table,
        columns.map((column) => `${column.name} ${column.type}`).join(", "),
      ]),
    );
  const [wanted, found] = [told(home), told(there)];
  const different = [...new Set([...wanted.keys(), ...found.keys()])].filter(
    (table) => wanted.get(table) !== found.get(table),
  );
  if (different.length === 0) return;
  throw new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `Node "${node}": the reference ${different.length === 1 ? "table" : "tables"} ${different.join(", ")} have other columns than on the home node. Migrate it; its rows are copied then.`,
    { data: { node, tables: different } },
  );
}

const keysEqual = (shape: TableShape, left: string, right: string) =>
  shape.primaryKey
    .map((column) => `${left}.${pg.escapeIdentifier(column)} = ${right}.${pg.escapeIdentifier(column)}`)
    .join(" and ");

async function removeRows(
  tx: Transaction<AnyTables>,
  shape: TableShape,
  rows: readonly string[],
  replace: boolean,
): Promise<void> {
  const name = tableSql(shape.table);
  const same = replace ? " and (n.*)::text = (h.*)::text" : "";
  await sql`delete from ${sql.raw(name)} h where not exists (
    select from unnest(${[...rows]}::${sql.raw(name)}[]) n where ${sql.raw(keysEqual(shape, "n", "h") + same)})`.execute(
    tx,
  );
}

async function addRows(
  tx: Transaction<AnyTables>,
  shape: TableShape,
  rows: readonly string[],
): Promise<void> {
  if (rows.length === 0) return;
  const name = tableSql(shape.table);
  const stored = shape.columns.filter((column) => !column.generated).map((column) => column.name);
  const list = stored.map((column) => pg.escapeIdentifier(column)).join(", ");
  const changed = stored
    .filter((column) => !shape.primaryKey.includes(column))
    .map((column) => `${pg.escapeIdentifier(column)} = excluded.${pg.escapeIdentifier(column)}`);
  const key = shape.primaryKey.map((column) => pg.escapeIdentifier(column)).join(", ");
  await sql`insert into ${sql.raw(name)} (${sql.raw(list)}) overriding system value
    select ${sql.raw(list)} from unnest(${[...rows]}::${sql.raw(name)}[]) n
     where not exists (select from ${sql.raw(name)} h
       where ${sql.raw(keysEqual(shape, "h", "n"))} and (h.*)::text = (n.*)::text)
    on conflict (${sql.raw(key)}) do ${sql.raw(changed.length > 0 ? `update set ${changed.join(", ")}` : "nothing")}`.execute(
    tx,
  );
}

/**
 * The statements that a shard is asked: what its order columns are, and a page of its rows in order.
 *
 * The caller's select becomes a subquery, which Postgres takes apart again, so that an index on the order columns
 * serves it as if order and limit had been written into it.
 */
import {
  type CompiledQuery,
  type Kysely,
  type OperationNodeSource,
  type RawBuilder,
  type SelectQueryNode,
  sql,
} from "kysely";
import { type Buildable, compileOnly } from "../compile-only.ts";
import type { AnyTables } from "../port.ts";
import type { Cursor } from "./cursor.ts";
import type { OrderColumn, OrderFacts } from "./order-by.ts";

/** A select that was built and not executed. */
export type Select<Row = unknown> = Buildable<Row> & OperationNodeSource;

const page = sql.id("holdfast_page");
const columnOf = (column: string) => sql`${page}.${sql.id(column)}`;

/** What the server says of one column of a select. */
export interface ColumnFacts {
  /** Object id of its type. */
  readonly oid: number;
  readonly type: string;
  readonly not_null: boolean;
}

/** The types of columns of a select, in order. Reads no row. */
export async function describeColumns(
  db: Kysely<AnyTables>,
  select: Select,
  node: SelectQueryNode,
  columns: readonly string[],
): Promise<readonly ColumnFacts[]> {
  const described = columns.map((column, at) => {
    const type = sql`pg_typeof((select ${columnOf(column)} from (${select}) as ${page} limit 0))`;
    const table = plainTableOf(node, column);
    const notNull = table
      ? sql`coalesce((select a.attnotnull from pg_attribute a where a.attrelid = to_regclass(${quoted(table)}) and a.attname = ${column}), false)`
      : sql`false`;
    return sql`select ${at}::int as at, ${type}::oid::int as oid, ${type}::text as type, ${notNull} as not_null`;
  });
  const { rows } = await sql<ColumnFacts>`${sql.join(described, sql` union all `)} order by at`.execute(db);
  return rows;
}

/** The one table that `column` comes from as it is: its own NOT NULL then holds. */
function plainTableOf({ from, joins, selections = [] }: SelectQueryNode, column: string): string | undefined {
  const [only] = from?.froms ?? [];
  if (from?.froms.length !== 1 || joins?.length || !only) return undefined;
  const table = only.kind === "AliasNode" ? (only as unknown as { node: typeof only }).node : only;
  if (table.kind !== "TableNode") return undefined;
  const { schema, identifier } = (table as unknown as TableShape).table;
  if (schema) return undefined;
  const isPlain = selections.some(({ selection }) => {
    const inner =
      selection.kind === "ReferenceNode" ? (selection as unknown as ReferenceShape).column : selection;
    if (inner.kind === "SelectAllNode") return true;
    return inner.kind === "ColumnNode" && (inner as unknown as ColumnShape).column.name === column;
  });
  return isPlain ? identifier.name : undefined;
}

interface TableShape {
  readonly table: { readonly schema?: unknown; readonly identifier: { readonly name: string } };
}
interface ReferenceShape {
  readonly column: { readonly kind: string };
}
interface ColumnShape {
  readonly column: { readonly name: string };
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** Name of the column that has an order column's text; behind it, with `_at`, a time as a cursor needs it. */
export const valueName = (index: number) => `holdfast_${index}`;
export const cursorName = (index: number, { type }: OrderFacts) =>
  type.epoch ? `${valueName(index)}_at` : valueName(index);

/**
 * Rows of one shard in order, each with the texts of its order columns.
 *
 * @param after only what comes behind it; `inclusive` when rows that are equal in all order columns count as behind
 */
export function pageQuery(
  select: Select,
  columns: readonly OrderColumn[],
  facts: readonly OrderFacts[],
  limit: number,
  after?: { readonly cursor: Cursor; readonly inclusive: boolean },
): CompiledQuery<Record<string, unknown>> {
  const expressions = columns.map(({ column }, index) => {
    const plain = columnOf(column);
    return facts[index]?.type.collated ? sql`${plain} collate "C"` : plain;
  });
  const values = columns.flatMap(({ column }, index) => {
    const plain = columnOf(column);
    const text = sql`${plain}::text`;
    if (!facts[index]?.type.epoch) return [sql`${text} as ${sql.id(valueName(index))}`];
    return [
      sql`extract(epoch from ${plain})::text as ${sql.id(valueName(index))}`,
      sql`${text} as ${sql.id(`${valueName(index)}_at`)}`,
    ];
  });
  const order = columns.map(
    ({ descending, nullsFirst }, index) =>
      sql`${expressions[index]} ${sql.raw(`${descending ? "desc" : "asc"} nulls ${nullsFirst ? "first" : "last"}`)}`,
  );
  const where = after ? sql`where ${behind(columns, facts, expressions, after)}` : sql``;
  return sql<Record<string, unknown>>`select ${page}.*, ${sql.join(values)} from (${select}) as ${page}
    ${where} order by ${sql.join(order)} limit ${limit}`.compile(compileOnly);
}

function behind(
  columns: readonly OrderColumn[],
  facts: readonly OrderFacts[],
  expressions: readonly RawBuilder<unknown>[],
  { cursor, inclusive }: { readonly cursor: Cursor; readonly inclusive: boolean },
): RawBuilder<unknown> {
  const literals = columns.map(
    (_, index) => sql`cast(${cursor.values[index]} as ${sql.raw(facts[index]?.type.name ?? "text")})`,
  );
  const isNull = (index: number) => (cursor.values[index] ?? null) === null;
  const equal = (index: number) =>
    isNull(index) ? sql`${expressions[index]} is null` : sql`${expressions[index]} = ${literals[index]}`;
  const beyond = (index: number): RawBuilder<unknown> => {
    const { descending, nullsFirst } = columns[index] as OrderColumn;
    const expression = expressions[index];
    if (isNull(index)) return nullsFirst ? sql`${expression} is not null` : sql`false`;
    const further = sql`${expression} ${sql.raw(descending ? "<" : ">")} ${literals[index]}`;
    return nullsFirst || facts[index]?.notNull ? further : sql`(${further} or ${expression} is null)`;
  };
  const prefix = (length: number) => columns.slice(0, length).map((_, index) => equal(index));
  const cases = columns.map((_, index) => sql.join([...prefix(index), beyond(index)], sql` and `));
  if (inclusive) cases.push(sql.join(prefix(columns.length), sql` and `));
  const any = sql`(${sql.join(cases, sql` or `)})`;
  // Says nothing new, and lets an index be entered at the cursor rather than at its beginning.
  const [first, firstFacts] = [columns[0], facts[0]];
  if (!first || isNull(0) || !(first.nullsFirst || firstFacts?.notNull)) return any;
  return sql`${expressions[0]} ${sql.raw(first.descending ? "<=" : ">=")} ${literals[0]} and ${any}`;
}

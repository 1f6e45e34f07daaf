/**
 * Adds to a number in one row, within bounds, as one statement: no read before it, so that no two of them lose one
 * another's change, and none passes the bound.
 */
import { sql } from "kysely";
import { refuseInput } from "./input-error.ts";
import type { Statements } from "./keyed-table.ts";
import { nameProblems } from "./names.ts";
import { whereProblems } from "./where.ts";

export interface Increment {
  /** Columns that name the one row, and their values. */
  readonly where: Readonly<Record<string, unknown>>;
  /** The column, of a whole-number type. */
  readonly column: string;
  /** What is added; negative takes away. Default 1. */
  readonly by?: number | bigint;
  /** The least that may be there afterwards. Default: what the column's type holds. */
  readonly min?: number | bigint;
  /** The most that may be there afterwards. Default: what the column's type holds. */
  readonly max?: number | bigint;
}

export type Incremented =
  | { readonly ok: true; readonly value: bigint }
  /** Nothing was changed: the result would have been out of bounds. `value` is what is there. */
  | { readonly ok: false; readonly why: "bound"; readonly value: bigint }
  /** There is no such row, or it has NULL there. */
  | { readonly ok: false; readonly why: "absent" };

/**
 * @param tx of a write on the row's shard
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID; HOLDFAST_SQL_ERROR when the result does not fit into the column
 */
export async function increment(tx: Statements, table: string, what: Increment): Promise<Incremented> {
  const { where, column, by = 1, min, max } = what;
  refuseInput("increment", [
    ...nameProblems("table", table),
    ...nameProblems("column", column),
    ...whereProblems(where),
    ...Object.entries({ by, min, max }).flatMap(([name, value]) =>
      value === undefined || isWhole(value)
        ? []
        : [`${name} should be a whole number that is exact, got ${value}`],
    ),
    ...(min !== undefined && max !== undefined && min > max ? [`min ${min} is above max ${max}`] : []),
  ]);
  // Compared as numeric, so that a sum beyond bigint is out of bounds rather than an error.
  const next = sql`${sql.id(column)}::numeric + ${String(by)}::numeric`;
  let update = tx
    .updateTable(table)
    .set({ [column]: next })
    .where((is) => is.and(where))
    .where(column, "is not", null);
  if (min !== undefined) update = update.where(next, ">=", sql`${String(min)}::numeric`);
  if (max !== undefined) update = update.where(next, "<=", sql`${String(max)}::numeric`);
  const row = await update.returning(sql<string>`${sql.id(column)}::text`.as("value")).executeTakeFirst();
  if (row) return { ok: true, value: BigInt(row.value) };
  const there = await tx
    .selectFrom(table)
    .select(sql<string | null>`${sql.id(column)}::text`.as("value"))
    .where((is) => is.and(where))
    .executeTakeFirst();
  if (!there || there.value === null) return { ok: false, why: "absent" };
  return { ok: false, why: "bound", value: BigInt(there.value) };
}

function isWhole(value: unknown): boolean {
  return typeof value === "bigint" || Number.isSafeInteger(value);
}

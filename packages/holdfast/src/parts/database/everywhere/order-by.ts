/**
 * The order of a page: columns of the select, each with a direction and a place for NULL.
 */
import { shown } from "../sharding/shard-options.ts";
import type { OrderType } from "./order-type.ts";

/** A column of the select, `asc` or `desc`, and where NULL comes. Default, as in Postgres: behind all when `asc`, before all when `desc`. */
export type OrderBy<Column extends string = string> =
  | readonly [column: Column, direction: "asc" | "desc"]
  | readonly [column: Column, direction: "asc" | "desc", nulls: "first" | "last"];

export interface OrderColumn {
  readonly column: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What the server says of an order column. */
export interface OrderFacts {
  readonly type: OrderType;
  /** Known to have no NULL: its index can then be entered at the cursor. */
  readonly notNull: boolean;
}

/** Values of the order columns of one row, as the server writes them; NULL stays null. */
export type OrderValues = readonly (string | null)[];

export const orderColumnsMax = 16;

export function resolveOrder(given: unknown, problems: string[]): OrderColumn[] {
  if (!Array.isArray(given) || given.length < 1 || given.length > orderColumnsMax) {
    problems.push(
      `orderBy should be a list of 1 to ${orderColumnsMax} columns such as [["created_at", "desc"], ["id", "asc"]]: without an order pages mean nothing`,
    );
    return [];
  }
  const columns = given.map((item: unknown, index) => {
    const [column, direction, nulls] = Array.isArray(item) ? item : [];
    const field = `orderBy[${index}]`;
    if (typeof column !== "string" || !/^[^.\0]{1,63}$/u.test(column))
      problems.push(`${field} should begin with the name of a column of the select, got ${shown(column)}`);
    if (direction !== "asc" && direction !== "desc")
      problems.push(`${field} should have "asc" or "desc", got ${shown(direction)}`);
    if (nulls !== undefined && nulls !== "first" && nulls !== "last")
      problems.push(`${field} should have "first" or "last" for NULL, or nothing, got ${shown(nulls)}`);
    const descending = direction === "desc";
    return { column: String(column), descending, nullsFirst: nulls ? nulls === "first" : descending };
  });
  if (new Set(columns.map(({ column }) => column)).size !== columns.length)
    problems.push("orderBy names a column twice");
  return columns;
}

/** Compares two rows as the servers do that order them. */
export function rowComparator(
  columns: readonly OrderColumn[],
  types: readonly OrderType[],
): (a: OrderValues, b: OrderValues) => number {
  return (a, b) => {
    for (let i = 0; i < columns.length; i++) {
      const { descending, nullsFirst } = columns[i] as OrderColumn;
      const [left, right] = [a[i] ?? null, b[i] ?? null];
      if (left === null || right === null) {
        if (left === right) continue;
        return (left === null) === nullsFirst ? -1 : 1;
      }
      const order = (types[i] as OrderType).compare(left, right);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  };
}

/** The statements that would serve a filter: columns that are compared for equality first, then one that is a range. */
import type { FilterConditions } from "./filter-conditions.ts";

/**
 * @param table quoted where it has to be
 * @param there what indexes begin with already
 * @returns none when no index of a simple kind would help
 */
export function proposeIndexes(
  table: string,
  { any, conditions }: FilterConditions,
  there: readonly string[] = [],
): string[] {
  const on = (kind: string) =>
    conditions.flatMap((one) => (one.kind === kind && one.indexed !== undefined ? [one.indexed] : []));
  const contains = on("contains").map((column) => `create index on ${table} using gin (${column})`);
  if (any) {
    // Each branch is looked up by itself, and the results are joined: all of them need one.
    if (conditions.some(({ indexed }) => indexed === undefined)) return [];
    const missing = [...on("equal"), ...on("range")].filter((one) => !there.includes(one));
    return [...missing.map((one) => `create index on ${table} (${one})`), ...contains];
  }
  const list = [...new Set([...on("equal"), ...on("range").slice(0, 1)])];
  if (list.length > 0) return [`create index on ${table} (${list.join(", ")})`];
  return contains;
}

/**
 * Keys out of the values of a table's key columns.
 */
import type { OperationNode, PrimitiveValueListNode, ValueListNode, ValueNode } from "kysely";
import type { ShardKey } from "../port.ts";
import { refuse } from "./refusal.ts";

/** Keys that one query may name: each is looked up by itself. */
export const routeKeysMax = 1_000;

/** Every combination of the columns' values. */
export function combinations(values: readonly (readonly unknown[])[], table: string): ShardKey[] {
  const count = values.reduce((product, { length }) => product * length, 1);
  if (count > routeKeysMax)
    refuse(
      `table "${table}" is asked for ${count} keys, and ${routeKeysMax} are the most: ask for fewer at a time`,
      { table },
    );
  if (count === 0)
    refuse(`table "${table}" is asked for no key at all: the list behind "in" is empty`, { table });
  let tuples: unknown[][] = [[]];
  for (const list of values) tuples = tuples.flatMap((tuple) => list.map((value) => [...tuple, value]));
  return tuples.map(keyOf);
}

/** Whether it is a key is told by whoever uses it. */
export function keyOf(parts: readonly unknown[]): ShardKey {
  return (parts.length === 1 ? parts[0] : parts) as ShardKey;
}

/** The same text for the same keys, in whatever order and however often. */
export function keysText(keys: readonly ShardKey[]): string {
  const texts = keys.map((key) => JSON.stringify((Array.isArray(key) ? key : [key]).map(String)));
  return JSON.stringify([...new Set(texts)].sort());
}

/** The value that a row of an insert gives to a key column. */
export function insertedValue(row: OperationNode, index: number, table: string, column: string): unknown {
  if (index < 0)
    refuse(`a row for "${table}" has no value for its key column "${column}": give it one`, {
      table,
      column,
    });
  if (row.kind === "PrimitiveValueListNode") return (row as PrimitiveValueListNode).values[index];
  const value = (row as ValueListNode).values[index];
  if (value?.kind === "ValueNode") return (value as ValueNode).value;
  return refuse(
    `the key column "${column}" of "${table}" is given as an expression or a default, whose value only the server would know: give the value itself`,
    { table, column },
  );
}

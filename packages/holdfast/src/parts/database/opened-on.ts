/**
 * Which shard a `sql` or `tx` belongs to, so that a helper which is handed one can refuse a key of another shard
 * instead of looking for it in the wrong place.
 */
import type { Part } from "../part.ts";

export interface OpenedOn {
  readonly database: Part;
  readonly shard: number;
}

const opened = new WeakMap<object, OpenedOn>();

/** Notes it, and answers the same. */
export function noteOpened<Statements extends object>(
  statements: Statements,
  database: Part,
  shard: number,
): Statements {
  opened.set(statements, { database, shard });
  return statements;
}

/** `undefined` for what was derived from one (`withSchema`, `withPlugin`), or is no such thing. */
export function openedOn(statements: object): OpenedOn | undefined {
  return opened.get(statements);
}

/**
 * Which shard a `sql` or `tx` belongs to, so that a helper which is handed one can refuse a key of another shard
 * instead of looking for it in the wrong place.
 */
import type { Part } from "../part.ts";

export interface OpenedOn {
  readonly database: Part;
  readonly shard: number;
}

const opened: unique symbol = Symbol("opened on");

/** Notes it, and answers the same. */
export function noteOpened<Statements extends object>(
  statements: Statements,
  database: Part,
  shard: number,
): Statements {
  // On the object itself: a weak map of every `tx` there is would cost more than the note.
  (statements as Noted)[opened] = { database, shard };
  return statements;
}

/** `undefined` for what was derived from one (`withSchema`, `withPlugin`), or is no such thing. */
export function openedOn(statements: object): OpenedOn | undefined {
  return (statements as Noted)[opened];
}

interface Noted {
  [opened]?: OpenedOn;
}

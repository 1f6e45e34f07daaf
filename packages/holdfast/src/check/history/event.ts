/**
 * A history: what clients saw, in the order in which a recorder wrote it down. Each operation is two events,
 * its invocation and its end: `ok` (applied), `fail` (not applied) or `info` (unknown). An operation without an
 * end is unknown too.
 *
 * Client processes are whole numbers, one operation at a time each; after an `info` the number retires, because
 * nobody knows when that operation stops being under way. Any other process (`nemesis`) is a witness of
 * faults, not a client: checkers do not judge it, pictures show it.
 *
 * @see K. Kingsbury, Jepsen, for the form; Herlihy and Wing, "Linearizability", 1990, for the idea
 */
export type EventType = "invoke" | "ok" | "fail" | "info";

export type ProcessId = number | string;

export interface HistoryEvent {
  /** Position in the history, from 0. */
  readonly index: number;
  readonly type: EventType;
  readonly process: ProcessId;
  /** What is done, such as `read`, `write`, `cas`, `txn`. */
  readonly f: string;
  /** Of an invocation its argument, of an `ok` its result; its shape is the model's. */
  readonly value: unknown;
  /** The object it is done to, where a history is about many that do not touch each other. */
  readonly key?: unknown;
  /** Nanoseconds on a monotonic clock that all processes of the history share. Order comes from `index`. */
  readonly timeNs: number;
  /** Why it failed, or is unknown: for people. */
  readonly error?: unknown;
}

/** An invocation and its end. */
export interface Operation {
  readonly process: number;
  readonly f: string;
  readonly key: unknown;
  /** The invocation's value. */
  readonly input: unknown;
  /** The value of the `ok`; `undefined` when it is not ok. */
  readonly output: unknown;
  readonly outcome: "ok" | "fail" | "info";
  /** Index of the invocation's event. */
  readonly callIndex: number;
  /** Index of the end's event; `Infinity` when unknown: it may take effect at any later time, or never. */
  readonly returnIndex: number;
  readonly callNs: number;
  /** Nanoseconds; `Infinity` when unknown. */
  readonly returnNs: number;
}

/**
 * The outbox: what is published in a database transaction commits with it, and is moved on to where it belongs
 * afterwards. What an engine of databases offers for it.
 */
import type { Part } from "../part.ts";

/** Where something goes in the end: the topic, or the queue, of this name. */
export interface OutboxTarget {
  readonly kind: "topic" | "queue";
  readonly name: string;
}

/** Something on its way. Already validated; texts have no NUL character. */
export interface OutboxEntry {
  /** UUID by which the same thing is known when it comes twice. Default: drawn by the engine. */
  readonly id?: string;
  /** What has one key keeps its order, of one target and as its transactions commit. */
  readonly key: string;
  /** The value as `JSON.stringify` wrote it. */
  readonly json: string;
  /** What else the target wants to know of it, as JSON. */
  readonly options?: string | undefined;
  readonly traceparent: string | undefined;
  /** What the session of the call knew, as `Session.encode` wrote it. */
  readonly session: string | undefined;
}

/** The transaction of a write, as long as it is open. */
export interface OpenTransaction {
  readonly database: Part;
  /** Whether it has ended: nothing can be added any more. */
  readonly ended: boolean;
  /**
   * Adds to what commits with the transaction. What was added behind a savepoint goes with its rollback; an attempt
   * that is run again begins with nothing.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it is more than a transaction may publish
   */
  append(target: OutboxTarget, entries: readonly OutboxEntry[]): void;
}

/**
 * What an engine does for reference tables: small tables that every node has, so that shards can join them.
 */
import type { Transaction } from "kysely";
import type { Undone } from "../../../call/index.ts";
import type { AnyTables, WriteOptions } from "../port.ts";

/** Which nodes have the reference tables as the home node has them. */
export interface ReferenceState {
  /** Grows with each write. */
  readonly version: number;
  /** Nodes that have this version, the home node first. */
  readonly current: readonly string[];
  /** Nodes that do not, or of which nobody knows: they go on with the version before until it reaches them. */
  readonly behind: readonly ReferenceBehind[];
}

export interface ReferenceBehind {
  readonly node: string;
  /** What stood in the way, such as HOLDFAST_UNAVAILABLE; `waiting` when its turn had not come in time. */
  readonly why: string;
  readonly message: string;
}

/**
 * Atomicity: a write is one READ WRITE transaction on the home node. Every other node takes a whole version in one
 * transaction of its own: a statement there sees all of a version or nothing of it, and may see the one before for
 * as long as the node cannot be reached.
 */
export interface ReferencePort {
  /**
   * @returns what `run` answered, and the version that the write made
   * @throws {HoldfastError} HOLDFAST_REFERENCE_TOO_LARGE, and what the database's `write` throws
   */
  write<T>(
    run: (tx: Transaction<AnyTables>) => Promise<T>,
    options: WriteOptions,
    undone?: Undone,
  ): Promise<{ readonly value: T; readonly version: number }>;
  /**
   * Brings every node to the version of the home node, as far as they can be reached in `waitMs` and before the
   * deadline. Never fails for a node: what stood in the way is part of the answer.
   *
   * @param written version that the home node is known to have
   * @throws {HoldfastError} when the home node cannot be asked; never with `written`
   */
  settle(waitMs: number, written?: number): Promise<ReferenceState>;
}

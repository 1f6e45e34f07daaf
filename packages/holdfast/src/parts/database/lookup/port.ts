/**
 * What an engine does for lookups: values that lead to the key that has them, kept on other shards than the key.
 */
import type { Kysely, Transaction } from "kysely";
import type { Undone } from "../../../call/index.ts";
import type { AnyTables, ReadLevel, ReadOptions, WriteOptions } from "../port.ts";

/** All values that the key has under one lookup once the write has committed; none releases what it had. */
export interface LookupChange {
  readonly name: string;
  readonly unique: boolean;
  /** Normalised, each once. */
  readonly values: readonly string[];
}

export interface LookupWrite {
  readonly key: string;
  /** Of the key. */
  readonly shard: number;
  readonly changes: readonly LookupChange[];
}

/** One page of the keys that have a value. */
export interface LookupPage {
  readonly limit: number;
  /** The last key of the page before. */
  readonly after: string | undefined;
}

/**
 * Atomicity: the values of a key change in the same transaction as its rows. Of a unique lookup no two keys ever
 * have a value at the same time; seen by strong reads, a value is a register that is claimed and released one after
 * the other. The promise is as durable as a write: where a failover may lose acknowledged commits, it may lose the
 * record that a value is taken.
 */
export interface LookupPort {
  /**
   * Like the database's `write`, and has the values changed with it. `run` may be called again, as there.
   *
   * @throws {HoldfastError} HOLDFAST_LOOKUP_TAKEN when another key has one of the values; HOLDFAST_LOOKUP_BUSY when
   *   another write is about to, and did not end in time; neither applied
   */
  write<T>(
    write: LookupWrite,
    run: (tx: Transaction<AnyTables>) => Promise<T>,
    options: WriteOptions,
    undone?: Undone,
  ): Promise<T>;
  /** The keys of those values of a unique lookup that have one. */
  find(
    name: string,
    values: readonly string[],
    how: ReadLevel | ReadOptions,
  ): Promise<ReadonlyMap<string, string>>;
  /**
   * Finds the key of one value of a unique lookup and reads on its shard, in one round trip less than one after the
   * other. `run` may be called for a key that turns out not to have the value: then what it did counts for nothing.
   */
  read<T>(
    name: string,
    value: string,
    how: ReadLevel | ReadOptions,
    run: (sql: Kysely<AnyTables>, key: string) => Promise<T>,
  ): Promise<{ readonly key: string; readonly value: T } | undefined>;
  /** Keys that have the value, in the store's order of text; fewer than the limit at the end. */
  keys(
    name: string,
    value: string,
    page: LookupPage,
    how: ReadLevel | ReadOptions,
  ): Promise<readonly string[]>;
  /**
   * Removes what writes that were cut short have left behind, where it is older than a minute. Right without it:
   * what is left behind is never answered and keeps nobody from a value; it only takes room. And puts back rows of
   * values that an asynchronous failover took.
   *
   * @throws {HoldfastError} HOLDFAST_LOOKUP_CONTESTED, when all else is done, for values that two keys have since
   */
  sweep(): Promise<LookupSweep>;
}

export interface LookupSweep {
  /** Rows of values whose write has been found to have committed. */
  readonly confirmed: number;
  /** Rows of values that no key has. */
  readonly removed: number;
  /** Records of values given up that nobody needs any more. */
  readonly forgotten: number;
  /** Rows of values whose key has them, which were missing. */
  readonly restored: number;
}

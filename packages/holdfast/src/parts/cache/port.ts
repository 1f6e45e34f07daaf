/** What an engine does for a cache part. */
import type { Transaction } from "kysely";
import type { AnyTables } from "../database/port.ts";

/** Counts since the engine was made, and what it holds now. */
export interface CacheStats {
  /** Answered from here, fresh and trusted. */
  readonly hits: number;
  /** Answered after waiting for a load, one's own or a shared one. */
  readonly misses: number;
  /** Answered with a value past its freshness or its trust: while it was refreshed, or because a load failed. */
  readonly staleAnswers: number;
  readonly loads: number;
  readonly loadFailures: number;
  /** Loads whose value was not kept, because the key was invalidated meanwhile. */
  readonly overtakenLoads: number;
  /** Values that were not kept because they are larger than `maxBytes` or cannot be written as JSON. */
  readonly refusedValues: number;
  /** Keys that were invalidated, here or over the bus. */
  readonly invalidations: number;
  /** Times when words of the bus may have been missed, so that everything was loaded anew before it was trusted. */
  readonly gaps: number;
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Expiry is by the process's monotonic clock. Nothing here is durable, and nothing is shared between
 * processes except the word to forget.
 */
export interface CachePort {
  /**
   * The value of `key`, loading it when there is none. Loads of one key are shared within the process; a load
   * during which the key was invalidated is answered to those who had asked before, and not stored.
   */
  get<T>(key: string, load: () => Promise<T>): Promise<T>;
  /**
   * Removes `keys` here at once and everywhere else over the bus; resolves when the word is durable. With `tx`
   * the removal commits with the transaction, or not at all; this process drops the keys when the transaction
   * has committed and the bus brings the word back.
   */
  invalidate(keys: readonly string[], tx?: Transaction<AnyTables>): Promise<void>;
  stats(): CacheStats;
}

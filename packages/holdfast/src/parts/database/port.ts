/**
 * What an engine does for a database part.
 */
import type { Kysely, Transaction } from "kysely";
import type { Undone } from "../../call/index.ts";
import type { Isolation, ReadIsolation } from "./isolation.ts";
import type { ReadLevel, ReadOptions } from "./read-options.ts";

export type { Isolation, ReadIsolation, ReadLevel, ReadOptions };

/** A value that decides the shard. Numbers and bigints count by their decimal digits. */
export type ShardKey = string | number | bigint;

/** Names one batch of a consumer: a shard applies it once, whoever brings it and how often. */
export interface EffectGuard {
  readonly consumer: string;
  readonly partition: number;
  /** Number of the batch within the partition: 1, 2, 3 … without gaps at home; a shard may see only some. */
  readonly sequence: bigint;
}

export interface WriteOptions {
  /**
   * Makes the write idempotent by key: when a write with this key has committed on the shard before (within the
   * last day at least), `run` is not called and that write's result is answered. The result goes through JSON the
   * first time as well, so that all answers are alike: a Date is answered as a string. It may have 256 KiB, and no
   * bigint. Writes with one key take turns. At most 255 characters.
   */
  readonly idempotencyKey?: string;
  /**
   * What the request was, in any stable form: the same key with another fingerprint is refused with
   * HOLDFAST_IDEMPOTENCY_MISMATCH.
   */
  readonly fingerprint?: string;
  /**
   * Write a marker row, so that a COMMIT without an answer can be settled. Default true. Without it such a
   * write ends as `unknown`.
   */
  readonly marker?: boolean;
  /**
   * What it sees of other writes while it runs. Default `read-committed`. The stronger ones are run again more often
   * (serialization failures are not applied, and `run` is called again): keep them short.
   */
  readonly isolation?: Isolation;
}

// biome-ignore lint/suspicious/noExplicitAny: the port serves databases of every table type; the handle narrows it.
export type AnyTables = any;

/**
 * Atomicity: `write` is one READ WRITE transaction on one shard; all of it commits or none. A `read` cannot write;
 * each of its statements sees what is committed when it begins (READ COMMITTED), so that what has to be seen
 * together belongs into one statement, or into a read at isolation `repeatable-read`. Time-outs come from the current call's deadline; without one an operation
 * waits ten seconds for a connection or a server, and ends, its connection closed, when the server answers nothing
 * to a statement for a minute: a job with longer statements gives its call a longer deadline. Expiry is by the
 * store's clock.
 *
 * Errors of statements are HoldfastErrors (HOLDFAST_SQL_CONFLICT, HOLDFAST_SQL_ERROR …) whose `data` has
 * `sqlstate` and, where there is one, `constraint`; they can be caught inside `run` behind a savepoint.
 */
export interface DatabasePort {
  /** Number of logical shards; they keep their number when nodes come and go. */
  readonly shardCount: number;
  shardOf(key: ShardKey): number;
  /**
   * `run` may be called again, on another server, when the first goes away under it.
   *
   * @throws {HoldfastError} HOLDFAST_WRITE_LOST when a failover lost something that the call's session had written,
   *   read or heard of; the session has then forgotten it
   */
  read<T>(
    shard: number,
    how: ReadLevel | ReadOptions,
    run: (sql: Kysely<AnyTables>) => Promise<T>,
    undone?: Undone,
  ): Promise<T>;
  /**
   * Runs `run` in a transaction and commits. `run` may be called again when the transaction certainly did not
   * commit (serialization failure, deadlock, the server went away), so it should have no effects outside the
   * transaction. What `run` throws itself rolls back, and is thrown as it is.
   *
   * @param undone called right before that, once the rollback is certain, and not when the store failed it
   * @throws {HoldfastError} HOLDFAST_OUTCOME_UNKNOWN when COMMIT had no answer and could not be settled in time;
   *   HOLDFAST_WRITE_LOST, and nothing was begun, when a failover lost what the call's session knew
   */
  write<T>(
    shard: number,
    run: (tx: Transaction<AnyTables>) => Promise<T>,
    options: WriteOptions,
    undone?: Undone,
  ): Promise<T>;
  /**
   * Like `write`, but only once per guard. What it has answered outlives a crash of the server, also where the
   * store's default is not to wait for the disk.
   *
   * @returns false when the shard had applied the batch before
   */
  writeOnce(
    shard: number,
    guard: EffectGuard,
    run: (tx: Transaction<AnyTables>) => Promise<void>,
    undone?: Undone,
  ): Promise<boolean>;
}

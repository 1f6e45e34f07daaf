/**
 * What an engine does for a database part.
 */
import type { Kysely, Transaction } from "kysely";
import type { Undone } from "../../call/index.ts";
import type { Isolation, ReadIsolation } from "./isolation.ts";
import type { ReadLevel, ReadOptions } from "./read-options.ts";

export type { Isolation, ReadIsolation, ReadLevel, ReadOptions };

/** Numbers and bigints count by their decimal digits. */
export type KeyPart = string | number | bigint;

/**
 * A value that decides the shard, or two to eight that do so together. Text of 1 to 1024 bytes without NUL, whole
 * numbers that are exact, bigints of 64 bits.
 */
export type ShardKey = KeyPart | readonly KeyPart[];

/** Where a key of a directory is to be. Without either, a lone group's shards share keys by their hash. */
export interface AssignOptions {
  /** Has to be named when there are several. */
  readonly group?: string;
  /** Default: one of the group's, by the key's hash. */
  readonly shard?: number;
}

/** Where a key of a directory is, for ever. */
export interface Assignment {
  readonly shard: number;
  readonly group: string;
}

/** Names one batch of a consumer: a shard applies it once, whoever brings it and how often. */
export interface EffectGuard {
  readonly consumer: string;
  readonly partition: number;
  /** Number of the batch within the partition. Numbers rise; a shard may see only some. */
  readonly sequence: bigint;
  /**
   * Says, to whoever made it, up to where the batch is. Kept with the guard: the next batch's `run` is told it, and
   * can leave out what was applied under another number.
   */
  readonly mark?: string;
  /** What to keep instead of `mark` where the guard had another mark before. Default: `mark`. */
  readonly keepMark?: ((before: string) => string) | undefined;
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

export interface TogetherOptions extends Pick<WriteOptions, "idempotencyKey" | "fingerprint"> {
  /**
   * How long a statement waits for a row that another transaction holds, in milliseconds, 10 to 60_000, and never
   * beyond the deadline. Default 2_000. Nobody sees a deadlock that goes through two nodes, so this is what ends
   * one: not applied, and tried again while the deadline allows. Shorter frees sooner, and gives up more under
   * contention. Counts where the keys are on several nodes.
   */
  readonly lockMs?: number;
}

export type ResolvedTogether = Omit<TogetherOptions, "lockMs"> & { readonly lockMs: number };

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
  /**
   * The shard of a key that needs no look-up: any key of `hash` and `range`, and of a directory those that this
   * process has met.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for what is no key; HOLDFAST_UNROUTABLE where `locate` is needed
   */
  shardOf(key: ShardKey): number;
  /**
   * The shard of a key, looked up where it is written down.
   *
   * @throws {HoldfastError} HOLDFAST_KEY_UNASSIGNED for a key that a directory does not have
   */
  locate(key: ShardKey): number | Promise<number>;
  /** Node that holds the shard. */
  nodeOf(shard: number): string;
  /**
   * Puts a key of a directory on a shard, for ever. Idempotent: whoever asks, and how often, is answered the same.
   *
   * @throws {HoldfastError} HOLDFAST_KEY_ASSIGNED when it is elsewhere than asked; HOLDFAST_OUTCOME_UNKNOWN when it
   *   was begun and could not be completed: the next call completes it
   */
  assign(key: ShardKey, options: AssignOptions): Promise<Assignment>;
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
   * @param run gets the mark of the batch that was applied last, if there is one
   * @returns false when the shard had applied the batch before
   */
  writeOnce(
    shard: number,
    guard: EffectGuard,
    run: (tx: Transaction<AnyTables>, markBefore: string | undefined) => Promise<void>,
    undone?: Undone,
  ): Promise<boolean>;
  /**
   * Like `write`, on several shards: all of it commits or none, and it is answered once that is decided for good. A
   * read between the decision and the last shard's commit may see one shard's part and not another's: atomicity, not
   * isolation. A part whose server went away right then shows up when it is back.
   *
   * @param shards rising, each once
   * @param run gets the transaction of each shard; `undefined` for one that was not asked for
   * @throws {HoldfastError} as `write`; HOLDFAST_CROSS_SHARD_REFUSED when the shards are on several nodes and these
   *   could lose one part without the other
   */
  together<T>(
    shards: readonly number[],
    run: (txOf: (shard: number) => Transaction<AnyTables> | undefined) => Promise<T>,
    options: ResolvedTogether,
    undone?: Undone,
  ): Promise<T>;
}

/**
 * What a worker's handler gets: messages of one partition, in order, under a number that never changes.
 */
import type { Transaction } from "kysely";
import { HoldfastError } from "../../call/index.ts";
import type { Database, ShardKey } from "../database/index.ts";
import type { RecordedBatch, StoredMessage } from "../topic/index.ts";

export interface Batch<Value> {
  readonly partition: number;
  readonly sequence: bigint;
  readonly messages: readonly StoredMessage<Value>[];
  /** Whether these were dead letters that somebody has asked to be tried once more. */
  readonly redriven: boolean;
  /** Aborts when the worker has drained for too long, has lost its partition, or the attempt has taken too long. */
  readonly signal: AbortSignal;
  /**
   * Applies the batch to a database, once. Messages are grouped by the shard of their key; each shard's group
   * runs in one transaction that also records the batch's number, so that a batch that comes again, from
   * whatever process, changes nothing where it was applied before.
   *
   * When it rejects, some shards may have applied their group and others not. Let the error escape: the batch
   * comes again, whole or in pieces, and only the others apply theirs.
   *
   * `keyOf` has to answer the same for the same message each time. `run` may be called again for a transaction
   * that did not commit, so its effects belong into `tx`. It gets the messages of the shard that were not applied
   * there before under another number, and is not called when there are none. Once per batch and database: all that
   * the batch does to a shard is one transaction.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when called twice for one database; otherwise what the
   *   first failing shard threw, after all others have ended
   */
  apply<Tables>(
    database: Database<Tables>,
    keyOf: (value: Value) => ShardKey,
    run: (tx: Transaction<Tables>, messages: readonly StoredMessage<Value>[]) => Promise<void>,
  ): Promise<void>;
}

/** The default export of a worker's module. A batch is done when it resolves; when it throws, it comes again. */
export type BatchHandler<Value> = (batch: Batch<Value>) => void | Promise<void>;

/** What of a recorded batch its effects depend on. */
export type AppliedBatch = Pick<
  RecordedBatch,
  "partition" | "sequence" | "messages" | "mark" | "isWithin" | "keepMark" | "redriven"
>;

/** Shards written at a time: a batch must not take every connection of its process. */
const shardsAtOnce = 4;

export function openBatch<Value>(
  consumer: string,
  recorded: Omit<AppliedBatch, "redriven"> & Partial<AppliedBatch>,
  signal: AbortSignal,
): Batch<Value> {
  const messages = recorded.messages as readonly StoredMessage<Value>[];
  const { partition, sequence, mark, isWithin, keepMark } = recorded;
  const guard = { consumer, partition, sequence, ...(mark === undefined ? {} : { mark, keepMark }) };
  /** The messages of a shard whose effects are not there yet. */
  const without = (before: string | undefined, own: readonly StoredMessage<Value>[]) =>
    before === undefined || !isWithin ? own : own.filter((message) => !isWithin(before, message));
  const applied = new Set<string>();
  return {
    partition,
    sequence,
    messages,
    redriven: recorded.redriven ?? false,
    signal,
    async apply(database, keyOf, run) {
      if (applied.has(database.name)) throw appliedTwiceError(consumer, database.name);
      applied.add(database.name);
      const groups = [...(await groupByShard(database, messages, keyOf)).values()];
      const failures: unknown[] = [];
      const work = async () => {
        for (let group = groups.shift(); group && !signal.aborted; group = groups.shift()) {
          const { key, messages: own } = group;
          try {
            await database.at(key).writeOnce(guard, async (tx, before) => {
              const fresh = without(before, own);
              if (fresh.length > 0) await run(tx, fresh);
            });
          } catch (error) {
            failures.push(error);
          }
        }
      };
      await Promise.all(Array.from({ length: Math.min(shardsAtOnce, groups.length) }, work));
      if (failures.length > 0) throw failures[0];
      signal.throwIfAborted();
    },
  };
}

async function groupByShard<Value, Tables>(
  database: Database<Tables>,
  messages: readonly StoredMessage<Value>[],
  keyOf: (value: Value) => ShardKey,
) {
  const groups = new Map<number, { readonly key: ShardKey; readonly messages: StoredMessage<Value>[] }>();
  for (const message of messages) {
    const key = keyOf(message.value);
    const index = await database.at(key).locate();
    const group = groups.get(index);
    if (group) group.messages.push(message);
    else groups.set(index, { key, messages: [message] });
  }
  return groups;
}

function appliedTwiceError(consumer: string, database: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `Worker "${consumer}" called batch.apply twice for database "${database}". A shard applies a batch once, so the second would do nothing: do both in one apply.`,
    { data: { consumer, database } },
  );
}

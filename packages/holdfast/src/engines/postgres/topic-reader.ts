/**
 * `next` of one consumer: what is asked for in one turn of the event loop, for any number of partitions, is
 * one read; and what is new in it is recorded in one transaction, with one flush.
 *
 * Both over one session, because no session outlives a crash of its server. A server that crashed may give out
 * transaction ids again that a snapshot from before counts as done, so a window that was read before the crash
 * and recorded after it would pass over messages.
 *
 * Where a consumer wants some subjects only, windows without one of them are passed: noted when that saves reading
 * many of them again, or at the latest after a second, so that they hold up no retention.
 */
import { HoldfastError, type LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { BatchWish, PartitionClaim, RecordedBatch } from "../../parts/topic/index.ts";
import { recordRedrive } from "./log-attempts.ts";
import { isWithinMark, keepMark, writeMark } from "./log-mark.ts";
import { completeBatch, recordBatches, recordPassed } from "./log-progress.ts";
import { type PartitionRead, type ReadMessage, readPartitions } from "./log-read.ts";
import type { UseSession } from "./log-session.ts";
import type { TopicLog } from "./log-tables.ts";
import { askInserted } from "./routing-position.ts";
import type { PgSession } from "./session.ts";

interface Asked {
  readonly claim: PartitionClaim;
  readonly wish: BatchWish;
  readonly resolve: (batch: RecordedBatch | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export interface ConsumerReaderOptions {
  readonly consumer: string;
  /** Name of the home's node. */
  readonly node: string;
  readonly clock: Clock;
  readonly open: () => Promise<{ readonly log: TopicLog; readonly consumerId: number }>;
  /** Sessions of the home primary. */
  readonly use: UseSession;
  /** Regular expression of the subjects that are wanted now. */
  readonly filter?: () => string | undefined;
}

/** Windows that are passed are noted after so many messages in them, or so long. */
const passedNoted = { messages: 200, everyMs: 1_000 } as const;

export class ConsumerReader {
  readonly #options: ConsumerReaderOptions;
  readonly #passedAtMs = new Map<number, number>();
  #asked: Asked[] = [];

  constructor(options: ConsumerReaderOptions) {
    this.#options = options;
  }

  next(claim: PartitionClaim, wish: number | BatchWish): Promise<RecordedBatch | undefined> {
    return new Promise((resolve, reject) => {
      const asked = { claim, wish: typeof wish === "number" ? { messagesMax: wish } : wish, resolve, reject };
      this.#asked.push(asked);
      if (this.#asked.length === 1) setImmediate(() => void this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    // One question per partition at a time: a second one, of a former claim perhaps, is asked on its own.
    const first = new Map<number, Asked>();
    const rest: Asked[] = [];
    for (const one of asked) {
      if (first.has(one.claim.partition)) rest.push(one);
      else first.set(one.claim.partition, one);
    }
    await this.#answer([...first.values()]);
    for (const one of rest) await this.#answer([one]);
  }

  /** @param again whether a number that was not recorded may have been recorded by this member's earlier attempt */
  async #answer(asked: readonly Asked[], again = true): Promise<void> {
    try {
      const { log, consumerId } = await this.#options.open();
      const { reads, recorded, position, changed } = await this.#options.use((session) =>
        this.#read(session, log, consumerId, asked),
      );
      const unsure: Asked[] = [];
      const onward: Asked[] = [];
      for (const one of asked) {
        const read = reads.find((candidate) => candidate.partition === one.claim.partition);
        if (!read?.held) one.reject(fencedError(one.claim));
        else if (changed.has(read.partition)) onward.push(one);
        else if (read.messages.length === 0) one.resolve(undefined);
        else if (read.recorded || recorded.has(read.partition))
          one.resolve(recordedBatch(read, this.#options.node, position));
        else if (again) unsure.push(one);
        else one.reject(fencedError(one.claim));
      }
      // There is more behind what was passed.
      if (onward.length > 0) await this.#answer(onward);
      // Somebody was faster: either this member's own earlier attempt, or the next owner.
      if (unsure.length > 0) await this.#answer(unsure, false);
    } catch (error) {
      for (const one of asked) one.reject(error);
    }
  }

  /** `changed`: partitions whose newest batch is another one now, so that they have to be read once more. */
  async #read(session: PgSession, log: TopicLog, consumerId: number, asked: readonly Asked[]) {
    const bytesMax = Math.min(...asked.map(({ wish }) => wish.bytesMax ?? Number.MAX_SAFE_INTEGER));
    const reads = await readPartitions(
      session,
      log,
      consumerId,
      asked.map(({ claim, wish }) => ({ ...claim, maxMessages: wish.messagesMax })),
      { filter: this.#options.filter?.(), bytesMax },
    );
    const held = reads.filter((read) => read.held);
    const changed = new Set<number>();
    for (const { partition, sequence, recorded, redrive, messages } of held) {
      const claim = { consumerId, partition, epoch: claimEpoch(asked, partition) };
      if (redrive) {
        const messagesMax = asked.find((one) => one.claim.partition === partition)?.wish.messagesMax ?? 1;
        if (await recordRedrive(session, claim, messagesMax, bytesMax)) changed.add(partition);
      } else if (recorded && messages.length === 0) {
        // What it was made of is gone: discarded, or not kept for a consumer that nothing is kept for.
        await completeBatch(session, consumerId, partition, claim.epoch, sequence);
        changed.add(partition);
      }
    }
    const passed = held.filter((read) => !changed.has(read.partition) && this.#isWorthNoting(read));
    if (passed.length > 0) {
      await recordPassed(session, consumerId, passed);
      for (const { partition } of passed) changed.add(partition);
    }
    const settled = held.filter((read) => !changed.has(read.partition) && read.messages.length > 0);
    const fresh = settled.filter((read) => !read.recorded);
    if (settled.length === 0) return { reads, recorded: none, position: undefined, changed };
    const recording = fresh.length > 0 ? recordBatches(session, consumerId, fresh) : none;
    // In the same packet, behind the record's COMMIT.
    const [recorded, position] = await Promise.all([recording, askInserted(session)]);
    return { reads, recorded, position, changed };
  }

  #isWorthNoting({ partition, recorded, messages, passed }: PartitionRead): boolean {
    if (recorded || messages.length > 0 || passed === 0) return false;
    const nowMs = this.#options.clock.monotonicMs();
    const dueMs = (this.#passedAtMs.get(partition) ?? Number.NEGATIVE_INFINITY) + passedNoted.everyMs;
    if (passed < passedNoted.messages && nowMs < dueMs) return false;
    this.#passedAtMs.set(partition, nowMs);
    return true;
  }
}

const none: ReadonlySet<number> = new Set();

function claimEpoch(asked: readonly Asked[], partition: number): bigint {
  return asked.find(({ claim }) => claim.partition === partition)?.claim.epoch ?? -1n;
}

function recordedBatch(read: PartitionRead, node: string, position: LogPosition | undefined): RecordedBatch {
  return {
    partition: read.partition,
    sequence: read.sequence,
    epoch: read.epoch,
    messages: read.messages,
    fresh: !read.recorded,
    attempts: read.attempts,
    failure: read.failure,
    reported: read.reported,
    isolating: read.isolateUntil !== undefined || read.letters !== undefined,
    redriven: read.letters !== undefined,
    mark: writeMark(read),
    keepMark: (before) => keepMark(before, read),
    isWithin: (mark, message) => isWithinMark(mark, read, (message as ReadMessage).place),
    ...(position === undefined ? {} : { recordedAt: { node, position } }),
  };
}

export function fencedError({ consumer, partition, epoch }: PartitionClaim): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Partition ${partition} of consumer "${consumer}" has passed to another member since epoch ${epoch}. Stop working on it; the next heartbeat says what this member holds.`,
    { data: { consumer, partition, epoch: epoch.toString() } },
  );
}

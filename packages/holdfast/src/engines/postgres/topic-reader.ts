/**
 * `next` of one consumer: what is asked for in one turn of the event loop, for any number of partitions, is
 * one read; and what is new in it is recorded in one transaction, with one flush.
 *
 * Both over one session, because no session outlives a crash of its server. A server that crashed may give out
 * transaction ids again that a snapshot from before counts as done, so a window that was read before the crash
 * and recorded after it would pass over messages.
 */
import { HoldfastError, type LogPosition } from "../../call/index.ts";
import type { PartitionClaim, RecordedBatch } from "../../parts/topic/index.ts";
import { recordBatches } from "./log-progress.ts";
import { type PartitionRead, readPartitions } from "./log-read.ts";
import type { UseSession } from "./log-session.ts";
import type { TopicLog } from "./log-tables.ts";
import { askInserted } from "./routing-position.ts";

interface Asked {
  readonly claim: PartitionClaim;
  readonly maxMessages: number;
  readonly resolve: (batch: RecordedBatch | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export interface ConsumerReaderOptions {
  readonly consumer: string;
  /** Name of the home's node. */
  readonly node: string;
  readonly open: () => Promise<{ readonly log: TopicLog; readonly consumerId: number }>;
  /** Sessions of the home primary. */
  readonly use: UseSession;
}

export class ConsumerReader {
  readonly #options: ConsumerReaderOptions;
  #asked: Asked[] = [];

  constructor(options: ConsumerReaderOptions) {
    this.#options = options;
  }

  next(claim: PartitionClaim, maxMessages: number): Promise<RecordedBatch | undefined> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ claim, maxMessages, resolve, reject });
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

  async #answer(asked: readonly Asked[], again = true): Promise<void> {
    try {
      const { log, consumerId } = await this.#options.open();
      const { reads, recorded, position } = await this.#options.use(async (session) => {
        const reads = await readPartitions(
          session,
          log,
          consumerId,
          asked.map(({ claim, maxMessages }) => ({ ...claim, maxMessages })),
        );
        const fresh = reads.filter((read) => read.held && !read.recorded && read.messages.length > 0);
        if (!reads.some((read) => read.messages.length > 0)) return { reads, recorded: none };
        const recording = fresh.length > 0 ? recordBatches(session, consumerId, fresh) : none;
        // In the same packet, behind the record's COMMIT.
        const [recorded, position] = await Promise.all([recording, askInserted(session)]);
        return { reads, recorded, position };
      });
      const unsure: Asked[] = [];
      for (const one of asked) {
        const read = reads.find((candidate) => candidate.partition === one.claim.partition);
        if (!read?.held) one.reject(fencedError(one.claim));
        else if (read.messages.length === 0) one.resolve(undefined);
        else if (read.recorded || recorded.has(read.partition))
          one.resolve(recordedBatch(read, this.#options.node, position));
        else if (again) unsure.push(one);
        else one.reject(fencedError(one.claim));
      }
      // Somebody was faster: either this member's own earlier attempt, or the next owner.
      if (unsure.length > 0) await this.#answer(unsure, false);
    } catch (error) {
      for (const one of asked) one.reject(error);
    }
  }
}

const none: ReadonlySet<number> = new Set();

function recordedBatch(read: PartitionRead, node: string, position: LogPosition | undefined): RecordedBatch {
  return {
    partition: read.partition,
    sequence: read.sequence,
    epoch: read.epoch,
    messages: read.messages,
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

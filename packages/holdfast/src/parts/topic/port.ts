/** What an engine does for a topic part. */
import type { LogPosition } from "../../call/index.ts";

/** A message on its way to the log. Already validated; the key has no NUL character. */
export interface OutgoingMessage {
  readonly partition: number;
  readonly key: string;
  /** The value as `JSON.stringify` wrote it. */
  readonly json: string;
  /** Of the schema that it was validated by, where the topic declares versions. */
  readonly version?: number | undefined;
}

export interface StoredMessage<Value = unknown> {
  /** Position within the topic. Order of ids is order of delivery within a key. */
  readonly id: bigint;
  readonly partition: number;
  readonly key: string;
  readonly value: Value;
  /** When the store took it, in milliseconds since the epoch, by the store's clock. */
  readonly publishedAtMs: number;
  /** W3C `traceparent` of the call that published it, if there was one. */
  readonly traceparent: string | undefined;
  /** What the session of that call knew, as `Session.encode` wrote it, if it knew anything. */
  readonly session: string | undefined;
  /** Of the schema it was written with. `undefined`: the topic declared no versions then. */
  readonly version?: number | undefined;
}

/** A batch as recorded at home: whoever reads it again gets the same messages under the same number. */
export interface RecordedBatch {
  readonly partition: number;
  readonly sequence: bigint;
  /** Epoch of the claim under which it was recorded. */
  readonly epoch: bigint;
  readonly messages: readonly StoredMessage[];
  /**
   * A position of the home's node that has the record behind it. A home that failed over to before it has lost the
   * record, and gives the number to another batch: whoever applies this one must not do so beyond that loss.
   */
  readonly recordedAt?: { readonly node: string; readonly position: LogPosition };
}

/** A member's hold on one partition of a consumer, fenced by its epoch. */
export interface PartitionClaim {
  readonly consumer: string;
  readonly partition: number;
  readonly epoch: bigint;
}

/**
 * Atomicity: `publish` appends all messages in one transaction. The consumer side is fenced: `next` and
 * `complete` refuse (HOLDFAST_FENCED) a claim whose epoch is no longer the partition's. Leases run by the
 * store's clock.
 */
export interface TopicPort {
  publish(messages: readonly OutgoingMessage[]): Promise<void>;
  /**
   * Joins the group or renews the membership, and answers the partitions this member holds now: live members
   * share the partitions as evenly as possible. A partition moves with a new epoch.
   *
   * A member that restarts under its name calls itself `name@` and something new each time: when it joins, it
   * takes over from its former selves at once, instead of waiting for their leases. A former self that turns out
   * to live is refused with HOLDFAST_FENCED.
   */
  heartbeat(consumer: string, member: string, leaseMs: number): Promise<readonly PartitionClaim[]>;
  /** Leaves the group at once, so that others take over without waiting for the lease. */
  leave(consumer: string, member: string): Promise<void>;
  /**
   * The next batch of the partition, of at most `maxMessages`: the recorded one that was not completed, or a
   * new one, recorded before it is answered. `undefined` when there is nothing new.
   */
  next(claim: PartitionClaim, maxMessages: number): Promise<RecordedBatch | undefined>;
  /** Marks the batch as applied everywhere; the next `next` moves on. */
  complete(claim: PartitionClaim, sequence: bigint): Promise<void>;
  /**
   * Resolves when something may have been published since the last `next` began, after `maxWaitMs`, or when
   * `signal` aborts: a wake-up, never a promise.
   */
  wait(maxWaitMs: number, signal: AbortSignal): Promise<void>;
  /** Messages that the consumer has not completed. */
  lag(consumer: string): Promise<bigint>;
}

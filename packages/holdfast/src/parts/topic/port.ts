/** What an engine does for a topic part. */
import type { LogPosition } from "../../call/index.ts";

/** A message on its way to the log. Already validated; the key has no NUL character. */
export interface OutgoingMessage {
  readonly partition: number;
  readonly key: string;
  /** The value as `JSON.stringify` wrote it. */
  readonly json: string;
  /** What consumers choose by, if the topic has subjects. */
  readonly subject?: string | undefined;
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
  readonly subject: string | undefined;
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
  /** Recorded just now: this handing out counts as its first attempt. Any other one is counted with `begin`. */
  readonly fresh: boolean;
  /** How often it was begun to be handled before this handing out; 0 for a new one. */
  readonly attempts: number;
  /** How many of those attempts told their end. The others died, or are under way somewhere. */
  readonly reported: number;
  /** Of the last attempt that told its end. */
  readonly failure: BatchFailure | undefined;
  /** Whether it is a piece of a batch that failed, or redriven: it is halved after one failure. */
  readonly isolating: boolean;
  /** Dead letters that are tried once more. */
  readonly redriven: boolean;
  /** Says up to where in the partition this batch is; kept with its effects. */
  readonly mark?: string;
  /** Whether effects under another batch's mark include those of `message`, which is one of this batch. */
  isWithin?(mark: string, message: StoredMessage): boolean;
}

/** A moment: a `Date`. */
export interface Moment {
  getTime(): number;
  toISOString(): string;
}

/** A place in a topic: the oldest message kept, what comes from now on, a time, or the id of a message. */
export type TopicPlace = "beginning" | "now" | Moment | bigint;

/** What a consumer is to be when it is new; `only` counts whenever a member says it. */
export interface ConsumerOpening {
  /** Where it begins. Default `beginning`. */
  readonly from?: TopicPlace | undefined;
  /** Patterns of the subjects that it wants. Default: all messages, also those without a subject. */
  readonly only?: readonly string[] | undefined;
  /** It goes when none of its members is left, and no message is kept for it. Default false. */
  readonly ephemeral?: boolean | undefined;
}

export interface BatchWish {
  readonly messagesMax: number;
  /** Bytes of JSON; the first message comes however long it is. Default: no bound. */
  readonly bytesMax?: number | undefined;
}

/** Why an attempt ended without success. */
export interface BatchFailure {
  /** Such as HOLDFAST_INPUT_INVALID; `ERROR` for what is no HoldfastError, `DIED` when its process was gone. */
  readonly code: string;
  readonly message: string;
  readonly outcome: "applied" | "not-applied" | "unknown";
}

/** How far a consumer is behind in one partition. */
export interface PartitionLag {
  readonly partition: number;
  /** Messages that it wants and has not completed. */
  readonly messages: number;
  /** How long the oldest of them has been there, in milliseconds by the store's clock; 0 when there is none. */
  readonly oldestMs: number;
  /** The member that holds the partition. */
  readonly member: string | undefined;
}

export interface ConsumerState {
  readonly name: string;
  readonly ephemeral: boolean;
  /** Of all partitions. `messagesMax` was reached: there may be more. */
  readonly messages: number;
  readonly oldestMs: number;
  readonly deadLetters: number;
  readonly members: readonly string[];
  readonly partitions: readonly PartitionLag[];
}

export interface DeadLetter {
  readonly id: string;
  readonly consumer: string;
  readonly partition: number;
  readonly messageId: bigint;
  readonly key: string;
  readonly subject: string | undefined;
  readonly value: unknown;
  readonly publishedAtMs: number;
  readonly deadAtMs: number;
  /** Of its last attempt. */
  readonly failure: BatchFailure;
  readonly attempts: number;
  /** Somebody asked that it be tried once more, and it waits for that. */
  readonly redriving: boolean;
}

/** Conditions are joined by "and". */
export interface DeadLetterFilter {
  readonly ids?: readonly string[];
  readonly key?: string;
  /** Patterns of subjects. */
  readonly only?: readonly string[];
  readonly failureCode?: string;
  /** Text within the failure's message. */
  readonly failureText?: string;
  /** A part of the message as JSON: `{ code: "moon" }` finds those that have it. */
  readonly containing?: unknown;
  readonly deadAfter?: Moment;
  readonly deadBefore?: Moment;
}

export interface DeadLetterPage {
  /** Oldest first. */
  readonly letters: readonly DeadLetter[];
  /** For the next page; `undefined`: this was the last. */
  readonly after: string | undefined;
}

export interface Replayed {
  /** Messages that will be delivered, as of now. */
  readonly messages: bigint;
  /** The oldest message that is kept: nothing from before it comes again. */
  readonly oldestKept: { readonly id: bigint; readonly publishedAtMs: number } | undefined;
}

/** A member's hold on one partition of a consumer, fenced by its epoch. */
export interface PartitionClaim {
  readonly consumer: string;
  readonly partition: number;
  readonly epoch: bigint;
}

/**
 * Atomicity: `publish` appends all messages in one transaction. The consumer side is fenced: whatever takes a claim
 * refuses (HOLDFAST_FENCED) one whose epoch is no longer the partition's. Leases run by the store's clock.
 */
export interface TopicPort {
  publish(messages: readonly OutgoingMessage[]): Promise<void>;
  /**
   * Joins the group or renews the membership, and answers the partitions this member holds now: live members
   * share the partitions as evenly as possible. A partition moves with a new epoch.
   *
   * A member that restarts under its name calls itself `name@` and something new each time that sorts behind what it
   * was: when it joins, it takes over from its former selves at once, instead of waiting for their leases. A former
   * self that turns out to live is refused with HOLDFAST_FENCED.
   */
  heartbeat(
    consumer: string,
    member: string,
    leaseMs: number,
    opening?: ConsumerOpening,
  ): Promise<readonly PartitionClaim[]>;
  /** Leaves the group at once, so that others take over without waiting for the lease. */
  leave(consumer: string, member: string): Promise<void>;
  /**
   * The next batch of the partition, of at most so many messages: the recorded one that was not completed, or a
   * new one, recorded before it is answered. `undefined` when there is nothing new that the consumer wants.
   */
  next(claim: PartitionClaim, wish: number | BatchWish): Promise<RecordedBatch | undefined>;
  /** Marks the batch as applied everywhere; the next `next` moves on. Redriven messages are dead letters no more. */
  complete(claim: PartitionClaim, sequence: bigint): Promise<void>;
  /** Counts another attempt of a batch that is not `fresh`, before it is handled. @returns how many, with this one */
  begin(claim: PartitionClaim, sequence: bigint): Promise<number>;
  /** Says that an attempt failed, and whether it counts as one. */
  fail(claim: PartitionClaim, sequence: bigint, failure: BatchFailure, counts: boolean): Promise<void>;
  /** Records the first half of a batch of two messages or more in its place; the rest comes behind it. */
  halve(claim: PartitionClaim, batch: RecordedBatch): Promise<void>;
  /** Makes the only message of a batch a dead letter of the consumer, and completes the batch. */
  bury(claim: PartitionClaim, batch: RecordedBatch, failure: BatchFailure, keepDeadMs: number): Promise<void>;
  /**
   * Resolves when something may have been published since the last `next` began, after `maxWaitMs`, or when
   * `signal` aborts: a wake-up, never a promise.
   */
  wait(maxWaitMs: number, signal: AbortSignal): Promise<void>;
  /** Messages that the consumer has not completed. */
  lag(consumer: string): Promise<bigint>;
  /** Every consumer of the topic, or one, with how far it is behind. Counting stops at `messagesMax` a partition. */
  consumers(name?: string, messagesMax?: number): Promise<readonly ConsumerState[]>;
  /**
   * Sends a consumer to another place, while it runs or stands still. What is under way is fenced; what comes from
   * there on is applied again.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when there is no such consumer, or nothing of that place
   */
  replay(consumer: string, place: TopicPlace): Promise<Replayed>;
  /** Forgets a consumer with its progress and dead letters. @returns whether there was one */
  remove(consumer: string): Promise<boolean>;
  deadLetters(
    consumer: string,
    filter: DeadLetterFilter,
    limit: number,
    after: string | undefined,
  ): Promise<DeadLetterPage>;
  /** Has dead letters that fit delivered once more, to this consumer only, from attempt 1. @returns how many */
  redrive(consumer: string, filter: DeadLetterFilter, limit: number): Promise<number>;
  /** Deletes dead letters that fit. @returns how many */
  discard(consumer: string, filter: DeadLetterFilter, limit: number): Promise<number>;
}

/**
 * What an engine does for a queue part.
 *
 * A job is handed out in attempts: 1, 2, 3 … Each attempt belongs to one member (a process of a worker, under a
 * lease), and only the newest attempt of a job can end it. A member whose lease has run out holds nothing any more:
 * whatever it still reports is refused, and its jobs come again under the next attempt.
 */

/** A job on its way to the store. Already validated; text has no NUL character. */
export interface OutgoingJob {
  /** UUID, version 7, drawn by whoever enqueues: the same job sent again is the same job. */
  readonly id: string;
  /** What kind of job it is, for people and for search. */
  readonly name: string | undefined;
  /** The value as `JSON.stringify` wrote it. */
  readonly json: string;
  /** Tenant or key, as `group.by` answered; `undefined` where the queue has no groups. */
  readonly group: string | undefined;
  /** -100 to 100, higher first; 0 where the queue has no priorities. */
  readonly priority: number;
  /** When it may run at the earliest, by the store's clock: so long after it arrives, or at a moment. */
  readonly due: { readonly afterMs: number } | { readonly atMs: number };
  readonly unique: UniqueKey | undefined;
  readonly tags: readonly string[];
  /** W3C `traceparent` of the call that enqueued it. */
  readonly traceparent: string | undefined;
  /** What the session of that call knew, as `Session.encode` wrote it. */
  readonly session: string | undefined;
}

export interface UniqueKey {
  readonly key: string;
  /** The key stays taken at least so long after the job was enqueued, also when it has ended sooner. 0: not. */
  readonly forMs: number;
}

export interface Enqueued {
  /** Of this job, or of the one that has its unique key. */
  readonly id: string;
  /** False: a job with this unique key is there already, and this one was not added. */
  readonly isNew: boolean;
}

export type JobState = "waiting" | "delayed" | "active" | "done" | "dead" | "cancelled";

/** Why an attempt ended without success. */
export interface JobFailure {
  /** Such as HOLDFAST_ATTEMPT_TIMEOUT; `ERROR` for what is no HoldfastError. */
  readonly code: string;
  readonly message: string;
  readonly outcome: "applied" | "not-applied" | "unknown";
}

/** A member of a queue's consumers: one process of a worker, under one lease. */
export interface QueueMember {
  readonly worker: string;
  /** Instance name and incarnation, such as `mailer-1@5f3a`. */
  readonly name: string;
  /** Grows with each join of the queue; what an older one under the same name reports is refused. */
  readonly token: bigint;
}

/** One attempt of a job, held by a member. */
export interface ClaimedJob<Value = unknown> {
  readonly id: string;
  readonly attempt: number;
  readonly name: string | undefined;
  readonly value: Value;
  readonly group: string | undefined;
  readonly priority: number;
  readonly tags: readonly string[];
  /** By the store's clock, in milliseconds since the epoch. */
  readonly enqueuedAtMs: number;
  readonly traceparent: string | undefined;
  readonly session: string | undefined;
  /** The engine's own note of where the attempt is; opaque to everybody else. */
  readonly handle: unknown;
}

/** How an attempt ended. `released`: it was not begun (its worker drains), and does not count. */
export type AttemptEnd =
  | { readonly kind: "done"; readonly resultJson: string | undefined }
  | { readonly kind: "retry"; readonly afterMs: number; readonly failure: JobFailure }
  | { readonly kind: "dead"; readonly failure: JobFailure }
  | { readonly kind: "cancelled" }
  | { readonly kind: "released" };

export interface JobView {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly name: string | undefined;
  readonly value: unknown;
  readonly group: string | undefined;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly enqueuedAtMs: number;
  /** When it may run, when it is delayed. */
  readonly dueAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  /** The member that holds it, when it is active. */
  readonly member: string | undefined;
  /** What its handler last reported. */
  readonly progress: unknown;
  readonly result: unknown;
  /** Of the last attempt that failed. */
  readonly failure: JobFailure | undefined;
}

/** Conditions are joined by "and". */
export interface JobFilter {
  readonly ids?: readonly string[];
  readonly name?: string;
  readonly group?: string;
  readonly tag?: string;
  readonly state?: JobState;
  /** Of dead letters: the code of their last failure. */
  readonly failureCode?: string;
}

export interface JobPage {
  /** In the order of ids, which is about the order of arrival. */
  readonly jobs: readonly JobView[];
  /** For the next page; `undefined`: this was the last. */
  readonly after: string | undefined;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  readonly dead: number;
  /** How long the oldest waiting job has been ready, in milliseconds; 0 when none waits. */
  readonly oldestWaitingMs: number;
  readonly paused: boolean;
}

/**
 * Atomicity: `enqueue` adds all jobs in one transaction, and is answered after its commit. `finish` is one
 * transaction for all its ends. Leases, delays and expiry run by the store's clock.
 */
export interface QueuePort {
  /**
   * @throws {HoldfastError} HOLDFAST_QUEUE_FULL when the queue is at `maxLength` and refuses, or does not get room
   *   before the deadline: not applied. HOLDFAST_OUTCOME_UNKNOWN when the commit had no answer until the deadline.
   */
  enqueue(jobs: readonly OutgoingJob[]): Promise<readonly Enqueued[]>;
  /**
   * Joins as a member with a lease of its own. One that joins under the instance name of another (`mailer-1@…`) takes
   * over from it at once: that one's jobs come again without waiting for its lease.
   */
  join(worker: string, name: string, leaseMs: number): Promise<QueueMember>;
  /**
   * Renews the lease.
   *
   * @returns ids of held jobs that are to be cancelled
   * @throws {HoldfastError} HOLDFAST_FENCED when the member has lost its lease: it holds nothing any more
   */
  heartbeat(member: QueueMember, leaseMs: number): Promise<readonly string[]>;
  /** Gives back what it still holds, as `released`, and ends the lease. */
  leave(member: QueueMember): Promise<void>;
  /**
   * Takes jobs: at most `jobsMax`, and about `bytesMax` of JSON, one at least when there is one. Also brings back the
   * jobs of members whose lease has run out, and those whose delay is over.
   *
   * @throws {HoldfastError} HOLDFAST_FENCED as `heartbeat`
   */
  claim(member: QueueMember, jobsMax: number, bytesMax: number): Promise<readonly ClaimedJob[]>;
  /**
   * Ends attempts, each job as its end says: who ends it decides by `retryStep` whether it comes again. The engine
   * itself ends only those of lost members: as dead letters with `jobLostFailure` after the last attempt, or at once
   * where `retry.unknown` says so, and otherwise by another attempt.
   *
   * @returns for each whether it counted: false when another attempt has taken its place, or it had ended before
   */
  finish(
    member: QueueMember,
    ends: readonly { readonly job: ClaimedJob; readonly end: AttemptEnd }[],
  ): Promise<readonly boolean[]>;
  /** Keeps what a handler says of how far it is. Ignored for an attempt that is over. At most 16 KiB of JSON. */
  progress(member: QueueMember, job: ClaimedJob, json: string): Promise<void>;
  /** Resolves when there may be something to claim, after `maxWaitMs`, or when `signal` aborts: never a promise. */
  wait(maxWaitMs: number, signal: AbortSignal): Promise<void>;
  /**
   * `cancelled`: it was waiting and will not run. `requested`: it runs, and its handler is told with the member's next
   * heartbeat; an attempt that then ends as `retry` or `released`, or is lost, leaves the job cancelled; one that ends
   * as `done` or `dead` was quicker. `ended`: too late. `unknown`: there is no such job any more.
   */
  cancel(id: string): Promise<"cancelled" | "requested" | "ended" | "unknown">;
  get(id: string): Promise<JobView | undefined>;
  /**
   * Which of these jobs the store still has anything of, at most 1_000 of them: those that can come again (they wait,
   * run, or are dead letters), and ended ones that are not cleared away yet, whether or not they are still shown. One
   * that is not answered never comes again.
   */
  known(ids: readonly string[]): Promise<readonly string[]>;
  search(filter: JobFilter, limit: number, after: string | undefined): Promise<JobPage>;
  counts(): Promise<QueueCounts>;
  /**
   * Dead letters that fit run again, from attempt 1, under their own ids, without the unique keys they had.
   *
   * @returns how many
   */
  redrive(filter: Omit<JobFilter, "state">, limit: number): Promise<number>;
  /** Dead letters that fit are deleted. @returns how many */
  discard(filter: Omit<JobFilter, "state">, limit: number): Promise<number>;
  /** Whether jobs are handed out. Kept in the store, for all processes. */
  pause(paused: boolean): Promise<void>;
}

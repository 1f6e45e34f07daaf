/** What a queue has to do in the bench `queue`, whichever it is. */

/** Of every job; `n` tells them apart. */
export interface Payload {
  readonly n: number;
  readonly text: string;
}

export interface Contender {
  readonly name: string;
  /** Resolves when the job is committed. */
  enqueue(job: Payload): Promise<unknown>;
  /** In one transaction, or what comes nearest. */
  enqueueMany(jobs: readonly Payload[]): Promise<unknown>;
  /** As another process would: over connections of its own, so that workers hear of it through the store. */
  enqueueElsewhere(job: Payload): Promise<unknown>;
  /** Starts a worker in this process. */
  work(handle: (job: Payload) => Promise<void> | void): Promise<{ stop(): Promise<unknown> }>;
  /** Whether the store has no job left that is not done. */
  isEmpty(): Promise<boolean>;
  close(): Promise<unknown>;
}

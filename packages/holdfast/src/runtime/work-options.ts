/** What the loop of a process that works for a queue is given, and what it tells. */
import type { Clock } from "../clock/index.ts";
import type { AttemptEnd, ClaimedJob, QueuePort } from "../parts/queue/index.ts";
import type { JobHandler, QueueWorker } from "../parts/worker/index.ts";
import type { World } from "../parts/world.ts";

/** Where an error came up, and how often in a row. */
export interface WorkErrorContext {
  readonly stage: "join" | "heartbeat" | "claim" | "handle" | "finish" | "leave";
  /** Of the job, where it is about one. */
  readonly id?: string;
  /** Of the job at stage `handle`; elsewhere 1 for the first failure in a row. */
  readonly attempt: number;
  /** At stage `handle`: this was the last attempt, and the job becomes a dead letter. */
  readonly isDead?: true;
}

export interface WorkOptions<Value> {
  readonly worker: QueueWorker<Value>;
  readonly queue: QueuePort;
  readonly handler: JobHandler<Value>;
  readonly clock: Clock;
  /** What the handler runs in. Default: whatever it is called from. */
  readonly world?: World;
  /** Drains on abort. */
  readonly signal: AbortSignal;
  /**
   * Name of this instance, such as `mailer-1`. Whoever joins under a name takes over from the former holder at once,
   * so two live instances must not share one.
   */
  readonly memberName: string;
  /** How long draining waits for handlers before it aborts their signals, in milliseconds. Default 10_000. */
  readonly drainMs?: number;
  /** Told of each attempt, once its end is in the store. */
  readonly onJob?: (job: ClaimedJob, end: AttemptEnd) => void;
  readonly onError?: (error: unknown, context: WorkErrorContext) => void;
}

export const workDefaults = {
  drainMs: 10_000,
  /** How long an attempt gets to notice that its signal was aborted, in milliseconds. */
  graceMs: 1_000,
  /** Most jobs that are claimed ahead. */
  prefetchMax: 1_000,
  /** About how many bytes of JSON one claim takes. */
  claimBytesMax: 8 << 20,
  /** Jobs that are claimed ahead are work for about so long. */
  prefetchMs: 100,
} as const;

/** What the loop of a worker process is given, and what it tells. */
import type { Clock } from "../clock/index.ts";
import type { TopicPort } from "../parts/topic/index.ts";
import type { BatchHandler, Worker } from "../parts/worker/index.ts";
import type { World } from "../parts/world.ts";

/** Where in the loop an error came up, and how often in a row. */
export interface ConsumeErrorContext {
  readonly stage: "heartbeat" | "next" | "handle" | "complete" | "leave";
  readonly partition?: number;
  readonly sequence?: bigint;
  /** 1 for the first failure in a row. */
  readonly attempt: number;
}

/** A batch that was completed. */
export interface ConsumedBatch {
  readonly partition: number;
  readonly sequence: bigint;
  readonly messages: number;
  readonly durationMs: number;
}

export interface ConsumeOptions<Value> {
  readonly worker: Worker<Value>;
  readonly topic: TopicPort;
  readonly handler: BatchHandler<Value>;
  readonly clock: Clock;
  /** What the handler runs in. Default: whatever it is called from. */
  readonly world?: World;
  /** Drains on abort. */
  readonly signal: AbortSignal;
  /**
   * Name of this instance within the group, such as `tally-1`. Whoever starts under a name takes over from
   * the former holder at once, so two live instances must not share one.
   */
  readonly memberName: string;
  /** How long draining waits for handlers before it aborts their signals, in milliseconds. Default 10_000. */
  readonly drainMs?: number;
  readonly onBatch?: (batch: ConsumedBatch) => void;
  readonly onError?: (error: unknown, context: ConsumeErrorContext) => void;
}

export const consumeDefaults = {
  drainMs: 10_000,
  /** Handlers that run at a time. Each uses up to four connections, and heartbeats need one to come through. */
  handlersMax: 4,
} as const;

/** What the loop of a worker process is given, and what it tells. */
import type { Clock } from "../clock/index.ts";
import type { TopicPort } from "../parts/topic/index.ts";
import type { BatchHandler, Worker } from "../parts/worker/index.ts";
import type { World } from "../parts/world.ts";
import type { Gate } from "./consume-gate.ts";
import type { IdleWait } from "./consume-wait.ts";

/** Where in the loop an error came up, and how often in a row. */
export interface ConsumeErrorContext {
  readonly stage: "heartbeat" | "next" | "begin" | "handle" | "isolate" | "bury" | "complete" | "leave";
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
  /** Whether the group goes with its last member, and nothing is kept for it. Default false. */
  readonly ephemeral?: boolean;
  readonly onBatch?: (batch: ConsumedBatch) => void;
  readonly onError?: (error: unknown, context: ConsumeErrorContext) => void;
}

export const consumeDefaults = { drainMs: 10_000 } as const;

export interface ConsumeEnv<Value> extends ConsumeOptions<Value> {
  /** Take no further batch. */
  readonly stop: AbortSignal;
  readonly idle: IdleWait;
  /** Batches that this process holds. */
  readonly held: Gate;
  /** Handlers that run. */
  readonly gate: Gate;
  readonly report: (error: unknown, context: ConsumeErrorContext) => void;
  /** Told when the store says that the partition has passed to another member. */
  readonly fenced: () => void;
}

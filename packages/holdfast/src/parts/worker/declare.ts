/**
 * `worker` for a topic: code that consumes it, in batches.
 */
import { refuseProblems } from "../../call/index.ts";
import { type AccessOptions, accessProblems } from "../access.ts";
import { namingProblem, type Part } from "../part.ts";
import type { Topic } from "../topic/index.ts";
import type { Batch } from "./batch.ts";

/** The default export of a worker's module. A batch is done when it resolves; when it throws, it comes again. */
export type BatchHandler<Value> = (batch: Batch<Value>) => void | Promise<void>;

export interface WorkerOptions<Value> {
  readonly from: Topic<Value>;
  /** Loads the module whose default export takes a batch. Only the processes that run the worker call it. */
  readonly load: () => Promise<{ readonly default: BatchHandler<Value> }>;
  /** Most messages in a batch, 1 to 10_000. Default 100. */
  readonly batch?: number;
  /** Processes to run. Default 1. They share the topic's partitions. */
  readonly instances?: number;
  /**
   * How long a silent process keeps its partitions, in milliseconds by the store's clock. Default 10_000.
   * Shorter takes over sooner and costs more heartbeats.
   */
  readonly leaseMs?: number;
  /**
   * What it may do in each database of the system, by name: `{ links: "read-write", audit: "read" }`; one that is left
   * out may not even be connected to. Default: all of them, to read and write.
   */
  readonly access?: AccessOptions;
}

export interface ResolvedWorkerOptions<Value> {
  readonly from: Topic<Value>;
  readonly load: WorkerOptions<Value>["load"];
  readonly batch: number;
  readonly instances: number;
  readonly leaseMs: number;
  readonly access: AccessOptions | undefined;
}

export const workerDefaults = { batch: 100, instances: 1, leaseMs: 10_000 } as const;

export interface Worker<Value = never> extends Part {
  readonly kind: "worker";
  readonly options: ResolvedWorkerOptions<Value>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function topicWorker<Value>(name: string, options: WorkerOptions<Value>): Worker<Value> {
  const resolved: ResolvedWorkerOptions<Value> = {
    from: options.from,
    load: options.load,
    batch: options.batch ?? workerDefaults.batch,
    instances: options.instances ?? workerDefaults.instances,
    leaseMs: options.leaseMs ?? workerDefaults.leaseMs,
    access: options.access,
  };
  const problems: string[] = [];
  const naming = namingProblem("worker", name);
  if (naming) problems.push(naming);
  if (options.from?.kind !== "topic")
    problems.push("from should be a topic or a queue: a worker needs a source");
  if (typeof options.load !== "function")
    problems.push('load should be a function such as () => import("./tally.ts")');
  if (!(Number.isInteger(resolved.batch) && resolved.batch >= 1 && resolved.batch <= 10_000)) {
    problems.push(`batch should be a whole number from 1 to 10000, got ${resolved.batch}`);
  }
  if (!(Number.isInteger(resolved.instances) && resolved.instances >= 1 && resolved.instances <= 64)) {
    problems.push(`instances should be a whole number from 1 to 64, got ${resolved.instances}`);
  }
  if (!(resolved.leaseMs >= 1000)) problems.push(`leaseMs should be at least 1000, got ${resolved.leaseMs}`);
  problems.push(...accessProblems(options.access));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `worker "${name}"`, problems);
  return { kind: "worker", name, options: Object.freeze(resolved) };
}

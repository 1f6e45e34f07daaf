/**
 * `worker` for a queue: code that does its jobs, many at a time, each in an attempt of its own.
 */
import { refuseProblems } from "../../call/index.ts";
import { type AccessOptions, accessProblems } from "../access.ts";
import { namingProblem, type Part } from "../part.ts";
import type { Queue } from "../queue/index.ts";
import type { Job } from "./job.ts";

/**
 * The default export of a module that works for a queue. A job is done when it resolves, and what it answers is the
 * job's result; when it throws, `retryStep` says whether the job comes again.
 */
export type JobHandler<Value> = (job: Job<Value>) => unknown;

export interface QueueWorkerOptions<Value> {
  readonly from: Queue<Value>;
  /** Loads the module whose default export takes a job. Only the processes that run the worker call it. */
  readonly load: () => Promise<{ readonly default: JobHandler<Value> }>;
  /** Jobs that a process works on at a time, 1 to 10_000. Default 10. */
  readonly concurrency?: number;
  /** Processes to run, 1 to 64. Default 1. They share the queue's jobs. */
  readonly instances?: number;
  /**
   * How long a silent process keeps its jobs, in milliseconds by the store's clock, 1_000 to 3_600_000. Default
   * 10_000. Shorter takes over sooner and costs more heartbeats; a handler that blocks the process for longer loses
   * all that the process holds.
   */
  readonly leaseMs?: number;
  /**
   * How long one attempt may take, in milliseconds, 10 to 86_400_000. Default 300_000 (5 minutes). Then its signal
   * aborts, and after a second of grace it has failed with HOLDFAST_ATTEMPT_TIMEOUT, whether or not the handler
   * returns.
   */
  readonly timeoutMs?: number;
  /**
   * What it may do in each database of the system, by name: `{ links: "read-write", audit: "read" }`; one that is left
   * out may not even be connected to. Default: all of them, to read and write.
   */
  readonly access?: AccessOptions;
}

export interface ResolvedQueueWorkerOptions<Value> {
  readonly from: Queue<Value>;
  readonly load: QueueWorkerOptions<Value>["load"];
  readonly concurrency: number;
  readonly instances: number;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly access: AccessOptions | undefined;
}

export const queueWorkerDefaults = {
  concurrency: 10,
  instances: 1,
  leaseMs: 10_000,
  timeoutMs: 300_000,
} as const;

export interface QueueWorker<Value = never> extends Part {
  readonly kind: "worker";
  readonly options: ResolvedQueueWorkerOptions<Value>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function queueWorker<Value>(name: string, options: QueueWorkerOptions<Value>): QueueWorker<Value> {
  const resolved: ResolvedQueueWorkerOptions<Value> = {
    from: options.from,
    load: options.load,
    concurrency: options.concurrency ?? queueWorkerDefaults.concurrency,
    instances: options.instances ?? queueWorkerDefaults.instances,
    leaseMs: options.leaseMs ?? queueWorkerDefaults.leaseMs,
    timeoutMs: options.timeoutMs ?? queueWorkerDefaults.timeoutMs,
    access: options.access,
  };
  const problems: string[] = [];
  const naming = namingProblem("worker", name);
  if (naming) problems.push(naming);
  if (typeof options.load !== "function") {
    problems.push('load should be a function such as () => import("./mailer.ts")');
  }
  const whole = (field: "concurrency" | "instances" | "leaseMs" | "timeoutMs", min: number, max: number) => {
    const value = resolved[field];
    if (Number.isInteger(value) && value >= min && value <= max) return;
    problems.push(`${field} should be a whole number from ${min} to ${max}, got ${value}`);
  };
  whole("concurrency", 1, 10_000);
  whole("instances", 1, 64);
  whole("leaseMs", 1_000, 3_600_000);
  whole("timeoutMs", 10, 86_400_000);
  if ("batch" in options) {
    problems.push(
      "batch is for workers of a topic; jobs of a queue come one by one, `concurrency` at a time",
    );
  }
  for (const field of ["batchBytes", "only", "onPoison", "startAt"]) {
    if (field in options) problems.push(`${field} is for workers of a topic`);
  }
  for (const field of ["retry", "keepDeadMs"]) {
    if (field in options) problems.push(`${field} of jobs is an option of their queue: declare it there`);
  }
  problems.push(...accessProblems(options.access));
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `worker "${name}"`, problems);
  return { kind: "worker", name, options: Object.freeze(resolved) };
}

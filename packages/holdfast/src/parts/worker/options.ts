/** What a worker is declared with. All problems are told at once. */
import { refuseProblems } from "../../call/index.ts";
import { type AccessOptions, accessProblems } from "../access.ts";
import { namingProblem } from "../part.ts";
import type { Topic, TopicPlace } from "../topic/index.ts";
import { placeProblem } from "../topic/place.ts";
import { patternProblems } from "../topic/subject.ts";
import type { BatchHandler } from "./batch.ts";
import type { RetryRule } from "./poison-step.ts";

export interface WorkerRetryOptions {
  /** Attempts of a batch before its poison is looked for, 1 to 1_000. Default 10. */
  readonly attemptsMax?: number;
  /** First pause, in milliseconds, 1 or more; doubles with each attempt, with jitter. Default 50. */
  readonly baseMs?: number;
  /** Longest pause, in milliseconds, `baseMs` or more. Default 5_000. Longer holds the partition up for longer. */
  readonly capMs?: number;
}

export interface WorkerOptions<Value> {
  readonly from: Topic<Value>;
  /** Loads the module whose default export takes a batch. Only the processes that run the worker call it. */
  readonly load: () => Promise<{ readonly default: BatchHandler<Value> }>;
  /** Most messages in a batch, 1 to 10_000. Default 100. */
  readonly batch?: number;
  /**
   * Most bytes of JSON in a batch, 1 to 268_435_456 (256 MiB); a message that is larger comes alone. Default 8 MiB. A
   * process holds up to two batches for each partition that it works on at once.
   */
  readonly batchBytes?: number;
  /** Partitions that a process works on at once, 1 to 256. Default 4: each uses up to four connections. */
  readonly concurrency?: number;
  /** Processes to run. Default 1. They share the topic's partitions. */
  readonly instances?: number;
  /**
   * How long a silent process keeps its partitions, in milliseconds by the store's clock. Default 10_000.
   * Shorter takes over sooner and costs more heartbeats.
   */
  readonly leaseMs?: number;
  /**
   * How long one attempt may take, in milliseconds, 100 or more. Default 300_000 (five minutes). Then its signal is
   * aborted, and it counts as failed, whether the handler listens or not: a partition never waits for ever.
   */
  readonly timeoutMs?: number;
  /**
   * Patterns of the subjects that it wants, such as `["orders.*.created", "orders.eu.>"]`: `*` is one word, `>` the
   * rest. Default: all messages. The others are left out by the store.
   */
  readonly only?: readonly string[];
  /** Where it begins when it has never run: `beginning` (the default), `now`, a time, or the id of a message. */
  readonly startAt?: TopicPlace;
  readonly retry?: WorkerRetryOptions;
  /**
   * What becomes of a message that fails however often it is tried. `dead-letter` (the default) puts it aside, and the
   * partition goes on, also with messages of its key. `stop-partition` waits at it until it works, or is discarded by
   * a replay behind it: order is kept, and everything behind it in its partition waits.
   */
  readonly onPoison?: "dead-letter" | "stop-partition";
  /** How long dead letters are kept, in milliseconds, 1_000 or more. Default 1_209_600_000 (14 days). */
  readonly keepDeadMs?: number;
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
  readonly batchBytes: number;
  readonly concurrency: number;
  readonly instances: number;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly only: readonly string[] | undefined;
  readonly startAt: TopicPlace;
  readonly retry: RetryRule;
  readonly onPoison: "dead-letter" | "stop-partition";
  readonly keepDeadMs: number;
  readonly access: AccessOptions | undefined;
}

export const workerDefaults = {
  batch: 100,
  batchBytes: 8 << 20,
  concurrency: 4,
  instances: 1,
  leaseMs: 10_000,
  timeoutMs: 300_000,
  startAt: "beginning",
  retry: { attemptsMax: 10, baseMs: 50, capMs: 5_000 },
  onPoison: "dead-letter",
  keepDeadMs: 14 * 86_400_000,
} as const;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function resolveWorkerOptions<Value>(
  name: string,
  options: WorkerOptions<Value>,
): ResolvedWorkerOptions<Value> {
  const { attemptsMax, baseMs, capMs } = { ...workerDefaults.retry, ...options.retry };
  const resolved: ResolvedWorkerOptions<Value> = {
    from: options.from,
    load: options.load,
    batch: options.batch ?? workerDefaults.batch,
    batchBytes: options.batchBytes ?? workerDefaults.batchBytes,
    concurrency: options.concurrency ?? workerDefaults.concurrency,
    instances: options.instances ?? workerDefaults.instances,
    leaseMs: options.leaseMs ?? workerDefaults.leaseMs,
    timeoutMs: options.timeoutMs ?? workerDefaults.timeoutMs,
    only: options.only,
    startAt: options.startAt ?? workerDefaults.startAt,
    retry: { attemptsMax, baseMs, capMs },
    onPoison: options.onPoison ?? workerDefaults.onPoison,
    keepDeadMs: options.keepDeadMs ?? workerDefaults.keepDeadMs,
    access: options.access,
  };
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `worker "${name}"`, workerProblems(name, resolved));
  return Object.freeze(resolved);
}

function workerProblems<Value>(name: string, resolved: ResolvedWorkerOptions<Value>): string[] {
  const problems: string[] = [];
  const whole = (field: string, value: number, min: number, max: number) => {
    if (!(Number.isInteger(value) && value >= min && value <= max))
      problems.push(`${field} should be a whole number from ${min} to ${max}, got ${value}`);
  };
  const least = (field: string, value: number, min: number) => {
    if (!(typeof value === "number" && value >= min && Number.isFinite(value)))
      problems.push(`${field} should be at least ${min}, got ${value}`);
  };
  const naming = namingProblem("worker", name);
  if (naming) problems.push(naming);
  if (resolved.from?.kind !== "topic")
    problems.push("from should be a topic or a queue: a worker needs a source");
  if (typeof resolved.load !== "function")
    problems.push('load should be a function such as () => import("./tally.ts")');
  whole("batch", resolved.batch, 1, 10_000);
  whole("batchBytes", resolved.batchBytes, 1, 256 << 20);
  whole("concurrency", resolved.concurrency, 1, 256);
  whole("instances", resolved.instances, 1, 64);
  least("leaseMs", resolved.leaseMs, 1000);
  least("timeoutMs", resolved.timeoutMs, 100);
  if (resolved.only !== undefined) {
    problems.push(...patternProblems("only", resolved.only));
    if (resolved.from?.kind === "topic" && !resolved.from.options.hasSubjects)
      problems.push(`only needs subjects, and topic "${resolved.from.name}" has none: give it a route`);
  }
  const { startAt, retry } = resolved;
  const misplaced = placeProblem("startAt", startAt);
  if (misplaced) problems.push(misplaced);
  whole("retry.attemptsMax", retry.attemptsMax, 1, 1_000);
  least("retry.baseMs", retry.baseMs, 1);
  least("retry.capMs", retry.capMs, retry.baseMs);
  if (resolved.onPoison !== "dead-letter" && resolved.onPoison !== "stop-partition")
    problems.push(`onPoison should be "dead-letter" or "stop-partition", got ${String(resolved.onPoison)}`);
  least("keepDeadMs", resolved.keepDeadMs, 1000);
  problems.push(...accessProblems(resolved.access));
  return problems;
}

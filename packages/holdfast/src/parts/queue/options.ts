/** What a queue is declared with: bounds, retries, groups, priorities. All problems are told at once. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { refuseProblems } from "../../call/index.ts";
import type { AnyDatabase } from "../database/index.ts";
import { namingProblem } from "../part.ts";

export interface RateLimit {
  /** Jobs that may begin in `perMs`, 1 or more. */
  readonly count: number;
  /** In milliseconds, 1_000 or more. Taken from a bucket that fills evenly and holds `count`. */
  readonly perMs: number;
}

export interface GroupOptions<Value> {
  /** Tenant, account or other key of a job. At most 255 characters. Groups take turns: none starves another. */
  readonly by: (value: Value) => string;
  /** One job of a group after the other, in the order in which they were enqueued; a retry holds the group up. */
  readonly ordered?: boolean;
  /** Most jobs of one group that run at once, over all processes. Default: no bound; 1 where `ordered`. */
  readonly concurrencyMax?: number;
  /** How often jobs of one group may begin. Default: no bound. */
  readonly rate?: RateLimit;
}

export interface QueueRetryOptions {
  /** Attempts in all, 1 to 1_000; then the job is a dead letter. Default 10. */
  readonly attemptsMax?: number;
  /** First pause, in milliseconds; doubles with each attempt, drawn with full jitter. Default 1_000. */
  readonly baseMs?: number;
  /** Longest pause, in milliseconds. Default 3_600_000 (an hour). */
  readonly capMs?: number;
  /**
   * What becomes of a job whose attempt ended without anybody knowing whether it was applied: a timeout, a lost
   * worker, an error that escaped. Default `retry`: handlers are idempotent, or do their writes with `job.apply`.
   */
  readonly unknown?: "retry" | "dead-letter";
}

export interface QueueOptions<Schema extends StandardSchemaV1> {
  /** Any Standard Schema (Valibot, Zod, ArkType …): what does not fit is refused at `enqueue`. */
  readonly schema: Schema;
  /** The database whose first node keeps the queue. Default: the system's first database. */
  readonly home?: AnyDatabase;
  /** Largest job, as JSON, in bytes, up to 64 MiB. Default 1 MiB. */
  readonly maxJobBytes?: number;
  /** Most jobs that wait or are delayed, 1 to 100_000_000. Default 1_000_000. Dead letters are not counted. */
  readonly maxLength?: number;
  /** At `maxLength`, `enqueue` throws HOLDFAST_QUEUE_FULL, or waits for room within its deadline. Default `refuse`. */
  readonly whenFull?: "refuse" | "wait";
  readonly retry?: QueueRetryOptions;
  readonly group?: GroupOptions<StandardSchemaV1.InferOutput<Schema>>;
  /** Most jobs of the whole queue that run at once, over all processes. Default: no bound. */
  readonly concurrencyMax?: number;
  /** How often jobs of the whole queue may begin. Default: no bound. */
  readonly rate?: RateLimit;
  /**
   * Jobs may have a priority. One level is worth having waited `agingMs` milliseconds: so a job of low priority moves
   * up while it waits, and never starves. 1 or more.
   */
  readonly priority?: { readonly agingMs: number };
  /** How long ended jobs can be found, with their results, in milliseconds, 1_000 or more. Default 3_600_000. */
  readonly keepDoneMs?: number;
  /** How long dead letters are kept, in milliseconds, 1_000 or more. Default 1_209_600_000 (14 days). */
  readonly keepDeadMs?: number;
}

export interface ResolvedQueueOptions {
  readonly home: AnyDatabase | undefined;
  readonly maxJobBytes: number;
  readonly maxLength: number;
  readonly whenFull: "refuse" | "wait";
  readonly retry: Required<QueueRetryOptions>;
  readonly group:
    | {
        readonly ordered: boolean;
        readonly concurrencyMax: number | undefined;
        readonly rate: RateLimit | undefined;
      }
    | undefined;
  readonly concurrencyMax: number | undefined;
  readonly rate: RateLimit | undefined;
  readonly priority: { readonly agingMs: number } | undefined;
  readonly keepDoneMs: number;
  readonly keepDeadMs: number;
}

export const queueDefaults = {
  maxJobBytes: 1 << 20,
  maxLength: 1_000_000,
  whenFull: "refuse",
  retry: { attemptsMax: 10, baseMs: 1_000, capMs: 3_600_000, unknown: "retry" },
  keepDoneMs: 3_600_000,
  keepDeadMs: 14 * 86_400_000,
} as const;

/**
 * Whether jobs are chosen one by one (groups, priorities, limits), or simply in the order in which they came. The
 * second needs no row that is changed, and is several times as fast.
 */
export function isSelective(
  options: Pick<ResolvedQueueOptions, "group" | "priority" | "concurrencyMax" | "rate">,
): boolean {
  const { group, priority, concurrencyMax, rate } = options;
  return [group, priority, concurrencyMax, rate].some((option) => option !== undefined);
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function resolveQueueOptions<Schema extends StandardSchemaV1>(
  name: string,
  options: QueueOptions<Schema>,
): ResolvedQueueOptions {
  const { group } = options;
  const resolved: ResolvedQueueOptions = {
    home: options.home,
    maxJobBytes: options.maxJobBytes ?? queueDefaults.maxJobBytes,
    maxLength: options.maxLength ?? queueDefaults.maxLength,
    whenFull: options.whenFull ?? queueDefaults.whenFull,
    retry: { ...queueDefaults.retry, ...options.retry },
    group: group && {
      ordered: group.ordered ?? false,
      concurrencyMax: group.concurrencyMax ?? (group.ordered ? 1 : undefined),
      rate: group.rate,
    },
    concurrencyMax: options.concurrencyMax,
    rate: options.rate,
    priority: options.priority,
    keepDoneMs: options.keepDoneMs ?? queueDefaults.keepDoneMs,
    keepDeadMs: options.keepDeadMs ?? queueDefaults.keepDeadMs,
  };
  const problems: string[] = [];
  const naming = namingProblem("queue", name);
  if (naming) problems.push(naming);
  if (typeof options.schema?.["~standard"]?.validate !== "function") {
    problems.push("schema should be a Standard Schema (Valibot, Zod, ArkType …)");
  }
  const needed = (field: string, value: number | undefined, min: number, max: number) => {
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return;
    problems.push(`${field} should be a whole number from ${min} to ${max}, got ${value}`);
  };
  const whole = (field: string, value: number | undefined, min: number, max: number) => {
    if (value !== undefined) needed(field, value, min, max);
  };
  const rate = (field: string, limit: RateLimit | undefined) => {
    if (limit === undefined) return;
    needed(`${field}.count`, limit.count, 1, 1_000_000);
    needed(`${field}.perMs`, limit.perMs, 1_000, 86_400_000);
  };
  const one = (field: string, value: string, allowed: readonly string[]) => {
    if (!allowed.includes(value)) problems.push(`${field} should be ${allowed.join(" or ")}, got ${value}`);
  };
  whole("maxJobBytes", resolved.maxJobBytes, 1, 64 << 20);
  whole("maxLength", resolved.maxLength, 1, 100_000_000);
  one("whenFull", resolved.whenFull, ["refuse", "wait"]);
  const { attemptsMax, baseMs, capMs, unknown } = resolved.retry;
  whole("retry.attemptsMax", attemptsMax, 1, 1_000);
  whole("retry.baseMs", baseMs, 1, 86_400_000);
  whole("retry.capMs", capMs, 1, 30 * 86_400_000);
  if (capMs < baseMs) problems.push(`retry.capMs ${capMs} is below retry.baseMs ${baseMs}`);
  one("retry.unknown", unknown, ["retry", "dead-letter"]);
  if (group && typeof group.by !== "function") {
    problems.push("group.by should be a function from a job to its tenant or key");
  }
  whole("group.concurrencyMax", group?.concurrencyMax, 1, 10_000);
  if (group?.ordered && (group.concurrencyMax ?? 1) !== 1) {
    problems.push(
      `group.concurrencyMax ${group.concurrencyMax} contradicts group.ordered: in order means one at a time`,
    );
  }
  if (group?.ordered && options.priority) {
    problems.push(
      "priority contradicts group.ordered: in order means that no job of a group overtakes another",
    );
  }
  rate("group.rate", group?.rate);
  whole("concurrencyMax", resolved.concurrencyMax, 1, 100_000);
  rate("rate", resolved.rate);
  if (resolved.priority) needed("priority.agingMs", resolved.priority.agingMs, 1, 86_400_000);
  whole("keepDoneMs", resolved.keepDoneMs, 1_000, 365 * 86_400_000);
  whole("keepDeadMs", resolved.keepDeadMs, 1_000, 3650 * 86_400_000);
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `queue "${name}"`, problems);
  return Object.freeze(resolved);
}

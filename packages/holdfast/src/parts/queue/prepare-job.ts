/** From a value and the options it was enqueued with to a job that every engine can store, or every fault at once. */
import { type Call, formatTraceparent } from "../../call/index.ts";
import { uuidv7Generator } from "../../clock/ids/index.ts";
import { type Clock, type Moment, momentMs } from "../../clock/index.ts";
import { checkValue, type ValueRule, valueError } from "../checked-value.ts";
import type { OutgoingJob, UniqueKey } from "./port.ts";

export interface EnqueueOptions {
  /** Runs so many milliseconds later at the earliest, by the store's clock: 0 to 315_360_000_000 (ten years). */
  readonly delayMs?: number;
  /** Runs at this moment at the earliest; one that has passed is now. A Date, or milliseconds since the epoch. */
  readonly at?: Moment;
  /** -100 to 100, higher first. Default 0. Only where the queue was declared with `priority`. */
  readonly priority?: number;
  /**
   * One job at a time has this key (1 to 255 characters), from when it is enqueued to its end. With `forMs`, also
   * until so many milliseconds after it was enqueued: 1 to 2_592_000_000 (30 days).
   */
  readonly unique?: string | { readonly key: string; readonly forMs: number };
  /** Words to find it by: at most 16, each of 1 to 100 characters. */
  readonly tags?: readonly string[];
  /** What kind of job it is, for people and for search: 1 to 100 characters. */
  readonly name?: string;
}

export interface JobRule<Value> extends ValueRule<Value> {
  readonly kind: "queue";
  readonly groupBy: ((value: Value) => string) | undefined;
  readonly hasPriority: boolean;
}

/** Where and on whose behalf it is enqueued. */
export interface EnqueueContext {
  readonly clock: Clock;
  readonly call: Call | undefined;
}

export const jobLimits = {
  delayMsMax: 315_360_000_000,
  priorityMax: 100,
  keyCharsMax: 255,
  uniqueMsMax: 2_592_000_000,
  tagsMax: 16,
  wordCharsMax: 100,
} as const;

export type PreparedJob =
  | OutgoingJob
  | {
      readonly problems: readonly string[];
      readonly data: Record<string, unknown>;
      readonly cause?: unknown;
    };

/** @returns the job, or all that is wrong with it */
export async function prepareJob<Value>(
  rule: JobRule<Value>,
  given: unknown,
  options: EnqueueOptions,
  { clock, call }: EnqueueContext,
): Promise<PreparedJob> {
  const wrong = optionProblems(rule, options);
  let group: string | undefined;
  const checked = await checkValue(rule, given, (value) => {
    group = rule.groupBy?.(value);
    return rule.groupBy && !isText(group, jobLimits.keyCharsMax) ? [groupProblem] : [];
  });
  if ("problems" in checked) return { ...checked, problems: [...checked.problems, ...wrong] };
  if (wrong.length > 0) return { problems: wrong, data: {} };
  const { unique, at } = options;
  return {
    id: nextId(clock),
    name: options.name,
    json: checked.json,
    group,
    priority: options.priority ?? 0,
    due: at === undefined ? { afterMs: options.delayMs ?? 0 } : { atMs: momentMs(at) },
    unique: typeof unique === "string" ? { key: unique, forMs: 0 } : unique,
    tags: options.tags ? [...new Set(options.tags)] : noTags,
    traceparent: call && formatTraceparent(call.trace),
    session: call?.session.encode() || undefined,
  };
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem of every job, by its place when there are many */
export function allPrepared(
  rule: Pick<JobRule<never>, "kind" | "name">,
  prepared: readonly PreparedJob[],
): readonly OutgoingJob[] {
  const jobs = prepared.filter((job): job is OutgoingJob => !("problems" in job));
  if (jobs.length === prepared.length) return jobs;
  const wrong = prepared.flatMap((job, index) => ("problems" in job ? [{ ...job, index }] : []));
  const [first] = wrong as [(typeof wrong)[number]];
  if (prepared.length === 1) {
    throw valueError(rule, first.problems.join("; "), first.data, first.cause);
  }
  const shown = wrong
    .slice(0, jobsShownMax)
    .map(({ index, problems }) => `job ${index}: ${problems.join("; ")}`);
  if (wrong.length > shown.length) shown.push(`and ${wrong.length - shown.length} more jobs`);
  throw valueError(
    rule,
    `${wrong.length} of ${prepared.length} jobs were refused, and so none was enqueued: ${shown.join(" | ")}`,
    { jobs: wrong.map(({ index, problems }) => ({ index, problems })) },
    first.cause,
  );
}

const jobsShownMax = 10;
const noTags: readonly string[] = Object.freeze([]);
const groupProblem = `group.by should answer a string of 1 to ${jobLimits.keyCharsMax} characters without NUL characters.`;

function optionProblems(rule: Pick<JobRule<never>, "hasPriority">, options: EnqueueOptions): string[] {
  const problems: string[] = [];
  const { delayMs, at, priority, unique, tags, name } = options;
  const { delayMsMax, priorityMax, keyCharsMax, uniqueMsMax, tagsMax, wordCharsMax } = jobLimits;
  if (delayMs !== undefined && !(delayMs >= 0 && delayMs <= delayMsMax)) {
    problems.push(`delayMs should be 0 to ${delayMsMax} milliseconds, got ${delayMs}`);
  }
  if (at !== undefined && !Number.isFinite(momentMs(at))) {
    problems.push(`at should be a Date or milliseconds since the epoch, got ${at}`);
  }
  if (at !== undefined && delayMs !== undefined) {
    problems.push("at and delayMs are two answers to one question: give one of them");
  }
  if (priority !== undefined && !rule.hasPriority) {
    problems.push("priority needs a queue that was declared with priority: { agingMs }");
  } else if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= priorityMax)) {
    problems.push(
      `priority should be a whole number from -${priorityMax} to ${priorityMax}, got ${priority}`,
    );
  }
  if (unique !== undefined) problems.push(...uniqueProblems(unique, keyCharsMax, uniqueMsMax));
  if (tags !== undefined && !(Array.isArray(tags) && tags.length <= tagsMax)) {
    problems.push(
      `tags should be a list of at most ${tagsMax}, got ${Array.isArray(tags) ? tags.length : tags}`,
    );
  } else if (tags?.some((tag) => !isText(tag, wordCharsMax))) {
    problems.push(`each of tags should have 1 to ${wordCharsMax} characters and no NUL character`);
  }
  if (name !== undefined && !isText(name, wordCharsMax)) {
    problems.push(`name should have 1 to ${wordCharsMax} characters and no NUL character`);
  }
  return problems;
}

function uniqueProblems(unique: string | UniqueKey, keyCharsMax: number, uniqueMsMax: number): string[] {
  const problems: string[] = [];
  const key = typeof unique === "string" ? unique : unique?.key;
  if (!isText(key, keyCharsMax)) {
    problems.push(`unique should be a key of 1 to ${keyCharsMax} characters without NUL, or { key, forMs }`);
  }
  if (typeof unique === "string") return problems;
  const forMs = unique?.forMs;
  if (!(Number.isInteger(forMs) && forMs >= 1 && forMs <= uniqueMsMax)) {
    problems.push(
      `unique.forMs should be a whole number from 1 to ${uniqueMsMax} milliseconds, got ${forMs}`,
    );
  }
  return problems;
}

function isText(value: unknown, charsMax: number): boolean {
  return typeof value === "string" && value.length >= 1 && value.length <= charsMax && !value.includes("\0");
}

/** Ids rise within a process, so that those of one call are in its order. */
const generators = new WeakMap<Clock, () => string>();

function nextId(clock: Clock): string {
  let next = generators.get(clock);
  if (!next) {
    next = uuidv7Generator(clock);
    generators.set(clock, next);
  }
  return next();
}

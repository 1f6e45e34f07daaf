/**
 * How fresh a read has to be, and what it may wait for.
 */
import { HoldfastError } from "../../call/index.ts";
import { type ReadIsolation, readIsolationProblem } from "./isolation.ts";

/**
 * What a read promises. The current call's session remembers what it wrote and what it read; `eventual` reads are
 * not remembered.
 *
 * - `eventual`: any replica, whatever its lag, or one within `lagMsMax`.
 * - `read-your-writes`: at least what the session has written.
 * - `monotonic`: at least what the session has read, so that it never goes back.
 * - `session` (the default): both.
 * - `causal`: both, and what the publishers of the messages knew that the call is about.
 * - `strong`: the primary, proven to be the current one.
 *
 * Where a replica is that far it answers; one that is behind is waited for (`waitMs`), then the primary serves.
 */
export type ReadLevel = (typeof readLevels)[number];

export const readLevels = [
  "eventual",
  "read-your-writes",
  "monotonic",
  "session",
  "causal",
  "strong",
] as const;

export interface ReadOptions {
  /** Default `session`. */
  readonly level?: ReadLevel;
  /**
   * For `eventual`: the most that a replica may be behind the primary, in milliseconds, 10 to 3_600_000. One that
   * is further behind, or of which nobody knows, is not used. Default: no bound. Measured against what the primary
   * had at a moment that this process knows, so that an idle primary makes no replica look old, and one that is out
   * of reach makes all of them. A small bound asks the servers more often: each process twice within it.
   */
  readonly lagMsMax?: number;
  /**
   * How long a replica that is behind is waited for before the primary is asked, in milliseconds, 0 to 10_000,
   * and never beyond the deadline. Default 50. Longer spares the primary and costs latency. A replica whose replay
   * stood still for a whole wait is not waited for again until it moves.
   */
  readonly waitMs?: number;
  /**
   * `repeatable-read` gives all statements of the read one snapshot, at the price of BEGIN and COMMIT around them.
   * Default `read-committed`: a snapshot for each statement.
   */
  readonly isolation?: ReadIsolation;
}

export interface ResolvedRead {
  readonly level: ReadLevel;
  readonly lagMsMax: number | undefined;
  readonly waitMs: number;
  readonly isolation: ReadIsolation;
}

export const readDefaults = {
  level: "session",
  lagMsMax: undefined,
  waitMs: 50,
  isolation: "read-committed",
} as const;

/** @returns what is wrong with `options`, each problem beginning with its field */
export function readProblems(
  options: { readonly [name in keyof ReadOptions]: ReadOptions[name] | undefined },
  prefix = "",
): string[] {
  const problems: string[] = [];
  const { level, lagMsMax, waitMs } = options;
  if (level !== undefined && !readLevels.includes(level))
    problems.push(`${prefix}level should be one of ${readLevels.join(", ")}, got ${JSON.stringify(level)}`);
  if (lagMsMax !== undefined && !(lagMsMax >= 10 && lagMsMax <= 3_600_000))
    problems.push(`${prefix}lagMsMax should be 10 to 3600000 milliseconds, got ${lagMsMax}`);
  if (waitMs !== undefined && !(waitMs >= 0 && waitMs <= 10_000))
    problems.push(`${prefix}waitMs should be 0 to 10000 milliseconds, got ${waitMs}`);
  const isolation = readIsolationProblem(options.isolation);
  if (isolation) problems.push(`${prefix}${isolation}`);
  return problems;
}

/**
 * The options of one read, filled in from those of its database.
 *
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once
 */
export function resolveRead(given: ReadLevel | ReadOptions, defaults: ResolvedRead): ResolvedRead {
  const options = typeof given === "string" ? { level: given } : given;
  const level = options.level ?? defaults.level;
  const problems = readProblems(options);
  if (options.lagMsMax !== undefined && level !== "eventual" && readLevels.includes(level))
    problems.push(`lagMsMax is for level "eventual"; level "${level}" has a bound of its own: leave it out`);
  if (problems.length > 0) {
    throw new HoldfastError("HOLDFAST_INPUT_INVALID", `A read's options: ${problems.join("; ")}.`, {
      data: { problems },
    });
  }
  return {
    level,
    lagMsMax: level === "eventual" ? (options.lagMsMax ?? defaults.lagMsMax) : undefined,
    waitMs: options.waitMs ?? defaults.waitMs,
    isolation: options.isolation ?? defaults.isolation,
  };
}

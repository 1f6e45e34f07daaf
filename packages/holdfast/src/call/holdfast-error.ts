/**
 * The error of Holdfast: a stable code, how the call ended, data for programs, a message for people.
 *
 * An outcome belongs to the one call it ended. It says nothing about the calls that its handler made before:
 * an error that escapes a handler is therefore never believed as it stands (see `outcomeOf`).
 */
import { ClockError } from "../clock/index.ts";
import { type ErrorCode, errorCodes } from "./error-codes.ts";
import type { Outcome } from "./outcome.ts";

export interface HoldfastErrorOptions {
  /** Overrides the code's usual outcome, when the place that throws knows better. */
  readonly outcome?: Outcome;
  /** Overrides whether the same call would fail the same way: a hop that gave up says so to those above it. */
  readonly permanent?: boolean;
  /** Facts for programs: field, value, limit. Never secrets. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class HoldfastError extends Error {
  override readonly name: string = "HoldfastError";
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  /** Whether the same call would fail the same way. Permanent errors are never retried. */
  readonly permanent: boolean;
  readonly data: Readonly<Record<string, unknown>>;

  /** @param message what happened, then what to do about it */
  constructor(code: ErrorCode, message: string, options: HoldfastErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome ?? errorCodes[code].outcome;
    this.permanent = options.permanent ?? errorCodes[code].permanent;
    this.data = options.data ?? {};
  }
}

/**
 * The outcome of a call that failed with `error`: what a Holdfast error says of itself, and `unknown` for
 * everything else, because something may have been applied before it was thrown.
 */
export function outcomeOf(error: unknown): Outcome {
  return error instanceof HoldfastError || error instanceof ClockError ? error.outcome : "unknown";
}

/** Whether the same call would fail the same way; nobody knows that of errors that Holdfast did not throw. */
export function isPermanent(error: unknown): boolean {
  return (error instanceof HoldfastError || error instanceof ClockError) && error.permanent;
}

/** Throws one error that lists every problem, when there is any. */
export function refuseProblems(
  code: "HOLDFAST_OPTIONS_INVALID" | "HOLDFAST_SYSTEM_INVALID" | "HOLDFAST_REQUIREMENTS_INVALID",
  what: string,
  problems: readonly string[],
): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  throw new HoldfastError(code, `${what}: ${count}${list}`, { data: { problems } });
}

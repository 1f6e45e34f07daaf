/**
 * What becomes of a job whose attempt failed: the table of `call/retry-rule.ts`, as a queue reads it. A pure step.
 *
 * | how the attempt ended | then |
 * |---|---|
 * | permanent: the same attempt would fail the same way | dead at once |
 * | not applied | comes again, after a pause |
 * | unknown | comes again, or is dead at once where the queue says `retry.unknown: "dead-letter"` |
 * | any of these, in the last attempt | dead |
 *
 * The job itself is the key under which a handler makes its effects idempotent (`job.apply`, or `job.id`): that is
 * why an unknown end may be tried again at all.
 */
import { HoldfastError, isPermanent, outcomeOf } from "../../call/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import type { QueueRetryOptions } from "./options.ts";
import type { AttemptEnd, JobFailure } from "./port.ts";

/** Longest message that is kept of an error. */
export const failureCharsMax = 2_000;

/**
 * What is kept of an error that escaped a handler. Its outcome is what the handler's whole attempt amounts to: a
 * permanent error says what it says of itself, anything else that escapes may have come after something was applied.
 */
export function failureOf(error: unknown): JobFailure {
  const said = error instanceof Error ? error.message || error.name : String(error);
  const message = said.replaceAll("\0", "").slice(0, failureCharsMax);
  const code = error instanceof HoldfastError ? error.code : "ERROR";
  return { code, message, outcome: outcomeOf(error) };
}

/**
 * @param attempt the one that failed, 1 or more
 * @param draw a random number in [0, 1)
 */
export function retryStep(
  error: unknown,
  attempt: number,
  draw: number,
  retry: Required<QueueRetryOptions>,
): Extract<AttemptEnd, { kind: "retry" | "dead" }> {
  const failure = failureOf(error);
  const isOver =
    isPermanentFor(error) ||
    attempt >= retry.attemptsMax ||
    (failure.outcome === "unknown" && retry.unknown === "dead-letter");
  if (isOver) return { kind: "dead", failure };
  return { kind: "retry", afterMs: Math.round(fullJitterMs(attempt, draw, retry)), failure };
}

/**
 * The deadline of one attempt is not that of the job, and an attempt that was told to stop can be made again: the
 * two codes that are permanent for a call are not for its job.
 */
function isPermanentFor(error: unknown): boolean {
  if (
    error instanceof HoldfastError &&
    (error.code === "HOLDFAST_DEADLINE" || error.code === "HOLDFAST_ABORTED")
  ) {
    return false;
  }
  return isPermanent(error);
}

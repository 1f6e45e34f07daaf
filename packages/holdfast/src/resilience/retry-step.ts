/**
 * The pure step of a retry: an attempt failed; try again after how long, or give up, and why.
 */
import type { Outcome } from "../call/index.ts";
import { type Idempotence, mayRetry } from "../call/index.ts";

export interface FailedAttempt {
  readonly outcome: Outcome;
  readonly permanent: boolean;
  readonly idempotent: Idempotence;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly attemptsMax: number;
  /** What the jitter drew. */
  readonly backoffMs: number;
  /** What the callee asked for (`Retry-After`); never less than this is waited. */
  readonly retryAfterMs: number;
  readonly remainingMs: number;
}

export type RetryStep =
  | { readonly kind: "wait"; readonly waitMs: number }
  /** Trying again would not be safe, or could not help: the error stands as it is. */
  | { readonly kind: "refuse" }
  /** Trying again would be safe, but is over. */
  | { readonly kind: "give-up"; readonly why: "attempts" | "deadline" };

export function stepRetry(failed: FailedAttempt): RetryStep {
  if (!mayRetry(failed.outcome, failed.permanent, failed.idempotent)) return { kind: "refuse" };
  if (failed.attempt >= failed.attemptsMax) return { kind: "give-up", why: "attempts" };
  const waitMs = Math.max(failed.backoffMs, failed.retryAfterMs);
  // To wait for a deadline is to fail later and to hold everything until then.
  if (waitMs >= failed.remainingMs) return { kind: "give-up", why: "deadline" };
  return { kind: "wait", waitMs };
}

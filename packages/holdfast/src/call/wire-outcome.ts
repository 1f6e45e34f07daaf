/**
 * How a call ended, across the wire.
 *
 * An answer says "not applied" only when the framework refused the request before the handler ran. Whatever
 * escapes a handler is unknown to its caller, whatever it says of itself: the handler may have applied
 * something before. (A calls X, which applies, then Y, which refuses: Y's "not applied" is true of Y, and
 * false of A.) The mark is believed for one hop, from the system's own instances, and stripped at the edge.
 */
import type { HeaderGetter } from "./headers.ts";
import { HoldfastError, isPermanent } from "./holdfast-error.ts";
import type { Outcome } from "./outcome.ts";

export const answerHeaders = {
  /** `not-applied`, or absent. */
  outcome: "holdfast-outcome",
  /** `no`: a hop further down has tried again already, or trying again cannot help. */
  retry: "holdfast-retry",
} as const;

/** Headers of an answer with which the framework refused a request before its handler ran. */
export function refusalHeaders(refusal: HoldfastError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (refusal.outcome === "not-applied") headers[answerHeaders.outcome] = "not-applied";
  if (refusal.permanent) headers[answerHeaders.retry] = "no";
  return headers;
}

/** Headers of an answer to a request whose handler threw `error`: never an outcome. */
export function escapeHeaders(error: unknown): Record<string, string> {
  return isPermanent(error) ? { [answerHeaders.retry]: "no" } : {};
}

/** What a failed answer from one of the system's own instances says. */
export function readFailedAnswer(get: HeaderGetter): { outcome: Outcome; permanent: boolean } {
  return {
    outcome: get(answerHeaders.outcome) === "not-applied" ? "not-applied" : "unknown",
    permanent: get(answerHeaders.retry) === "no",
  };
}

/** What the caller of a handler gets to see of an `error` that escaped it. */
export function escapedError(error: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_HANDLER_FAILED",
    "The handler failed after it had begun, so it may have applied something. Read its effect back, or retry with the same idempotency key.",
    { outcome: "unknown", permanent: isPermanent(error), cause: error },
  );
}

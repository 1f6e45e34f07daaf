/**
 * How long an operation waits for a connection, and what it says when it got none.
 */
import { type Call, deadlineError, HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";

/** How patient an operation without a deadline is about connections, retries and unsettled commits. */
export const patienceDefaultMs = 10_000;

export interface Patience {
  /** On the clock's monotonic scale. */
  readonly untilMs: number;
  /** The call that gives up first, if the operation belongs to one. */
  readonly call: Call | undefined;
}

/** As patient as the call's deadline allows; ten seconds without one. */
export function patienceOf(call: Call | undefined, clock: Clock): Patience {
  const bounded = call !== undefined && call.deadlineAtMs !== Number.POSITIVE_INFINITY;
  return { untilMs: bounded ? call.deadlineAtMs : clock.monotonicMs() + patienceDefaultMs, call };
}

/** The call is over: its deadline passed, or its caller gave up. */
export function overError(call: Call, outcome: "not-applied" | "unknown"): HoldfastError {
  const reason: unknown = call.overReason ?? call.signal?.reason;
  // By the signal's word first: its timer may fire a fraction of a millisecond before the deadline.
  const late = reason instanceof HoldfastError && reason.code === "HOLDFAST_DEADLINE";
  if (late || call.remainingMs() === 0) return deadlineError(call, outcome);
  return new HoldfastError(
    "HOLDFAST_ABORTED",
    outcome === "not-applied"
      ? "The caller gave up before anything was committed."
      : "The caller gave up while COMMIT was under way. Read its effect back, or retry with the same idempotency key.",
    { outcome, cause: reason },
  );
}

export function noConnectionError(where: string, waitedMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_OVERLOADED",
    `${where}: no connection became free in ${Math.round(waitedMs)} ms. Make transactions shorter, or the pool larger.`,
    { data: { where, waitedMs } },
  );
}

export function vacantError(where: string, why: string, waitedMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: ${why}, and none came to in ${Math.round(waitedMs)} ms. Nothing was sent. Promote one of them, or correct the hosts of the node.`,
    { data: { where, waitedMs } },
  );
}

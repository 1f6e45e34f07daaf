/**
 * Tries an operation again when that is safe (the one table in `call/retry-rule.ts`), worth it and paid for:
 * full jitter between attempts, one budget for extra attempts, the call's deadline and signal throughout.
 *
 * Each attempt is a call of its own below the caller's, under the same id and idempotency key. When the caller
 * gives up during a wait, the operation never runs again.
 */
import {
  Call,
  currentCall,
  HoldfastError,
  type Idempotence,
  inCall,
  isPermanent,
  type Outcome,
  outcomeOf,
} from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { type BackoffOptions, fullJitterMs } from "./backoff.ts";
import type { RetryBudget } from "./budget.ts";
import { stepRetry } from "./retry-step.ts";

export interface RetryOptions extends BackoffOptions {
  readonly clock: Clock;
  /** One per caller and target. Without one only `attemptsMax` limits what a caller adds to an outage. */
  readonly budget?: RetryBudget;
  /** Why doing it twice is doing it once. Default: `key` when the call has an idempotency key, else `no`. */
  readonly idempotent?: Idempotence;
  /** Attempts in all, 1 or more. Default 3. */
  readonly attemptsMax?: number;
  /**
   * Milliseconds that one attempt may take. It then ends as HOLDFAST_ATTEMPT_TIMEOUT, which is unknown.
   * The attempt's signal tells it to stop; what ignores the signal goes on unwatched. Default: as long as the call.
   */
  readonly attemptTimeoutMs?: number;
  /** The call to work for. Default: the current one, else a new one without a deadline. */
  readonly call?: Call;
}

export const retryDefaults = { attemptsMax: 3 } as const satisfies Partial<RetryOptions>;

/**
 * @param run one attempt; gets the attempt's own call, which is also the current one
 * @throws what the attempt threw, when trying again would not be safe or could not help
 * @throws {HoldfastError} HOLDFAST_RETRIES_EXHAUSTED when attempts, budget or time ran out; permanent, so that
 *   nobody above multiplies what was tried here. HOLDFAST_ABORTED or HOLDFAST_DEADLINE when the call was over.
 *   The outcome is that of all attempts together: one that is unknown makes the whole unknown.
 */
export async function retry<T>(run: (attempt: Call) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, budget, attemptsMax = retryDefaults.attemptsMax, attemptTimeoutMs } = options;
  if (!(Number.isInteger(attemptsMax) && attemptsMax >= 1))
    throw new RangeError(`attemptsMax should be a whole number from 1, got ${attemptsMax}`);
  const call = options.call ?? currentCall() ?? new Call(clock);
  const idempotent = options.idempotent ?? (call.idempotencyKey === undefined ? "no" : "key");
  let together: Outcome = "not-applied";

  for (let attempt = 1; ; attempt++) {
    try {
      call.throwIfOver();
    } catch (error) {
      throw attempt === 1 ? error : withOutcome(error, together);
    }
    try {
      const value = await runAttempt(run, call, attempt, clock, attemptTimeoutMs);
      budget?.succeeded();
      return value;
    } catch (error) {
      const outcome = outcomeOf(error);
      together = combined(together, outcome);
      const step = stepRetry({
        outcome,
        permanent: isPermanent(error),
        idempotent,
        attempt,
        attemptsMax,
        backoffMs: fullJitterMs(attempt, clock.random.next(), options),
        retryAfterMs: retryAfterMs(error),
        remainingMs: call.remainingMs(),
      });
      if (step.kind === "refuse") throw withOutcome(error, together);
      if (step.kind === "give-up") throw exhausted(step.why, attempt, together, error);
      if (budget && !budget.takeExtraAttempt()) throw exhausted("budget", attempt, together, error);
      try {
        await clock.sleep(step.waitMs, call.signal);
      } catch (reason) {
        throw withOutcome(reason, together, error);
      }
    }
  }
}

// `using` would say the same as `try … finally` here, and adds 150 ns to an async function (Node 24).
async function runAttempt<T>(
  run: (attempt: Call) => Promise<T>,
  call: Call,
  attempt: number,
  clock: Clock,
  timeoutMs: number | undefined,
): Promise<T> {
  if (timeoutMs === undefined || timeoutMs >= call.remainingMs()) {
    const own = call.forAttempt(attempt);
    try {
      return await inCall(own, () => run(own));
    } finally {
      own.end();
    }
  }
  const expiry = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = clock.timer(timeoutMs, () => {
    const error = attemptTimeout(attempt, timeoutMs, "unknown");
    reject(error);
    expiry.abort(error);
  });
  const own = call.forAttempt(attempt, { timeoutMs, signal: expiry.signal });
  try {
    return await Promise.race([inCall(own, () => run(own)), expired]);
  } catch (error) {
    // A part that watches the deadline by itself may have seen it pass first: the attempt's, not the call's.
    const isDeadline = error instanceof HoldfastError && error.code === "HOLDFAST_DEADLINE";
    if (isDeadline && own.remainingMs() === 0 && call.remainingMs() > 0)
      throw attemptTimeout(attempt, timeoutMs, error.outcome, error);
    throw error;
  } finally {
    timer.cancel();
    own.end();
  }
}

function attemptTimeout(
  attempt: number,
  timeoutMs: number,
  outcome: Outcome,
  cause?: unknown,
): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ATTEMPT_TIMEOUT",
    `Attempt ${attempt} took longer than ${timeoutMs} ms. Allow attempts more time, or find out what is slow.`,
    { outcome, data: { attempt, timeoutMs }, cause },
  );
}

/** Of all attempts together: applied when one was, unknown when one may have been. */
function combined(before: Outcome, now: Outcome): Outcome {
  if (before === "applied" || now === "applied") return "applied";
  return before === "unknown" || now === "unknown" ? "unknown" : "not-applied";
}

/** What a callee asked to be left alone for: `data.retryAfterMs` of its error. */
function retryAfterMs(error: unknown): number {
  const asked = error instanceof HoldfastError ? error.data.retryAfterMs : undefined;
  return typeof asked === "number" && asked > 0 ? asked : 0;
}

/** The same error, unless an earlier attempt makes the whole less certain than the last one says. */
function withOutcome(error: unknown, together: Outcome, lastFailure?: unknown): unknown {
  if (!(error instanceof HoldfastError)) return error;
  if (error.outcome === together && lastFailure === undefined) return error;
  return new HoldfastError(error.code, error.message, {
    outcome: together,
    permanent: error.permanent,
    data: error.data,
    cause: lastFailure ?? error,
  });
}

function exhausted(
  why: "attempts" | "budget" | "deadline",
  attempts: number,
  outcome: Outcome,
  cause: unknown,
): HoldfastError {
  const what = {
    attempts: "No attempts are left",
    budget: "The budget for extra attempts is used up, because too many calls fail",
    deadline: "The deadline leaves no time to wait and try again",
  }[why];
  const remedy =
    outcome === "unknown" ? "It may have been applied: read its effect back." : "Nothing was applied.";
  return new HoldfastError(
    "HOLDFAST_RETRIES_EXHAUSTED",
    `${what} after ${attempts === 1 ? "1 attempt" : `${attempts} attempts`}. ${remedy} The cause says what failed last.`,
    { outcome, data: { why, attempts }, cause },
  );
}

/** Waiting for a condition in tests: polled, with a bound, never by guessing how long something takes. */
import { type Clock, systemClock } from "../clock/index.ts";

export interface UntilOptions {
  /** Gives up after this long, in milliseconds. Default 10_000. */
  readonly timeoutMs?: number;
  /** Pause between two looks, in milliseconds. Default 20. */
  readonly everyMs?: number;
  /** What is waited for, in the error message. */
  readonly what?: string;
  readonly clock?: Clock;
}

/**
 * Resolves with the first answer of `condition` that is neither false, null nor undefined. A condition that
 * throws counts as "not yet"; the last error is the cause when time runs out.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = 10_000, everyMs = 20, what = "the condition", clock = systemClock } = options;
  const untilMs = clock.monotonicMs() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== false && answer !== null && answer !== undefined) {
        return answer as Exclude<T, false | null | undefined>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (clock.monotonicMs() >= untilMs)
      throw new Error(`${what} did not hold within ${timeoutMs} ms`, { cause });
    await clock.sleep(everyMs);
  }
}

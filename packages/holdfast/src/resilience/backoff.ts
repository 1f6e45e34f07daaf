/**
 * How long to wait before trying again: exponential, with full jitter, so that callers that failed together do
 * not come back together.
 *
 * @see M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
export interface BackoffOptions {
  /** Upper end of the first wait, in milliseconds; it doubles with each attempt. Default 50. */
  readonly baseMs?: number;
  /** The upper end never passes this, in milliseconds. Default 2_000. */
  readonly capMs?: number;
}

export const backoffDefaults = { baseMs: 50, capMs: 2_000 } as const satisfies BackoffOptions;

/**
 * @param attempt failed attempts so far, 1 or more
 * @param draw a random number in [0, 1)
 * @returns milliseconds, uniform in [0, min(capMs, baseMs * 2^(attempt - 1)))
 * @throws {RangeError} when `attempt` is below 1
 */
export function fullJitterMs(attempt: number, draw: number, options: BackoffOptions = {}): number {
  if (!(attempt >= 1)) throw new RangeError(`attempt starts at 1, got ${attempt}`);
  const { baseMs = backoffDefaults.baseMs, capMs = backoffDefaults.capMs } = options;
  return draw * Math.min(capMs, baseMs * 2 ** (attempt - 1));
}

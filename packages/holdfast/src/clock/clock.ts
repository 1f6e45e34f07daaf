/**
 * Time and randomness as arguments.
 *
 * Everything in Holdfast that waits, measures or draws gets a `Clock`. The system clock is the real one;
 * the manual clock moves only when a test says so. No other room reads `Date`, timers, `performance`,
 * `Math.random` or crypto randomness: a lint rule holds this.
 *
 * Durations are measured with `monotonicMs`, never with `wallMs`: wall time is for people and may jump.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump both ways; for people and for ids, never for durations. */
  wallMs(): number;
  /** Milliseconds on a clock that never goes back, from an unspecified start. Fractional. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` milliseconds (any finite length, 0 or more; beyond 2^31-1 is fine).
   * Rejects with `signal.reason` as soon as `signal` aborts, and then holds no timer.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` once after `ms` milliseconds. The timer does not keep the process alive unless `ref` is true. */
  timer(ms: number, run: () => void, options?: TimerOptions): Timer;
  /** The randomness that belongs to this clock. */
  readonly random: Random;
}

export interface TimerOptions {
  /** Keep the process alive while the timer waits. Default false. */
  readonly ref?: boolean;
}

export interface Timer {
  /** Stops the timer. Calling it again, or after it fired, does nothing. */
  cancel(): void;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** 32 random bits, as a whole number from 0 to 2^32-1. Ids are drawn from these. */
  uint32(): number;
  /** Fills and returns a new array of `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** An integer in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  if (!(Number.isSafeInteger(bound) && bound > 0))
    throw new RangeError(`bound should be a positive integer, got ${bound}`);
  return Math.floor(random.next() * bound);
}

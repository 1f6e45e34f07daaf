/**
 * Node's timers turn any delay above 2^31-1 ms (24.8 days) into 1 ms. A long timer waits in hops that fit.
 */
import type { Timer, TimerOptions } from "./clock.ts";

export const timerHopMsMax = 2 ** 31 - 1;

export interface HostTimers {
  set(run: () => void, ms: number, ref: boolean): unknown;
  clear(handle: unknown): void;
}

/** @throws {RangeError} when `ms` is not a number of 0 or more */
export function longTimer(host: HostTimers, ms: number, run: () => void, options: TimerOptions = {}): Timer {
  if (!(ms >= 0)) throw new RangeError(`a timer's delay should be 0 ms or more, got ${ms}`);
  const ref = options.ref ?? false;
  let leftMs = ms;
  let handle: unknown;
  const hop = () => {
    const hopMs = Math.min(leftMs, timerHopMsMax);
    handle = host.set(
      () => {
        leftMs -= hopMs;
        if (leftMs > 0) hop();
        else run();
      },
      // The host drops fractions, and would fire too early.
      Math.ceil(hopMs),
      ref,
    );
  };
  // An infinite delay never fires, so it needs no timer at all.
  if (ms !== Number.POSITIVE_INFINITY) hop();
  return { cancel: () => host.clear(handle) };
}

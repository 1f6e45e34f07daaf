import type { Clock } from "../../../clock/index.ts";

/** A listener that passes on at most one message a second, and none in the first. */
export function eachSecond(clock: Clock, tell: (message: string) => void): (message: string) => void {
  let nextMs = clock.monotonicMs() + 1_000;
  return (message) => {
    if (clock.monotonicMs() < nextMs) return;
    nextMs = clock.monotonicMs() + 1_000;
    tell(message);
  };
}

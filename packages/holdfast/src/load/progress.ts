/** What a running load tells each second: that second's own latencies, not the average since the start. */
import type { Clock } from "../clock/index.ts";
import { LatencyHistogram, type Percentiles, type Tally } from "./tally.ts";

/** What happened in the last second, and what is under way. */
export interface LoadProgress {
  readonly seconds: number;
  readonly ended: number;
  readonly failed: number;
  readonly dropped: number;
  readonly inFlight: number;
  /** Of what ended in this second. */
  readonly latency: Percentiles;
}

/** @returns records what ended; `stop` lets go of the timer */
export function progressEachSecond(
  clock: Clock,
  startMs: number,
  tally: Tally,
  inFlight: () => number,
  tell: ((progress: LoadProgress) => void) | undefined,
): { record(ms: number): void; stop(): void } {
  const latest = new LatencyHistogram();
  let told = { failed: 0, dropped: 0 };
  let seconds = 0;
  const next = () => clock.timer(Math.max(0, startMs + (seconds + 1) * 1_000 - clock.monotonicMs()), each);
  const each = () => {
    seconds++;
    const latency = latest.percentiles();
    latest.reset();
    tell?.({
      seconds,
      ended: latency.count,
      failed: tally.failed - told.failed,
      dropped: tally.dropped - told.dropped,
      inFlight: inFlight(),
      latency,
    });
    told = { failed: tally.failed, dropped: tally.dropped };
    timer = next();
  };
  let timer = next();
  return { record: (ms) => latest.record(ms), stop: () => timer.cancel() };
}

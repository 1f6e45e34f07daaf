/**
 * Gentle traffic without an end, so that a system that was just started has something to show. It goes on
 * through failures: they are part of the show.
 */
import type { Clock } from "../clock/index.ts";
import { systemClock } from "../clock/index.ts";
import type { LoadProgress } from "./progress.ts";
import { readLoadPlan } from "./read-plan.ts";
import { runLoad } from "./run-load.ts";
import { loadTarget } from "./target.ts";

export interface TrafficOptions {
  readonly systemFile: string;
  readonly baseUrl: string;
  /** Default 5. */
  readonly ratePerSecond?: number;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly onSecond?: (progress: LoadProgress) => void;
  /** Told when the traffic could not be set up; it is tried again. */
  readonly onTrouble?: (error: unknown) => void;
}

export const trafficDefaults = { ratePerSecond: 5 } as const;

const retryMs = 1_000;

/**
 * Runs until `signal` aborts, then resolves within a few seconds.
 *
 * @throws {HoldfastError} HOLDFAST_SYSTEM_INVALID when the system has no usable load.ts: no retry would help
 */
export async function startTraffic(options: TrafficOptions): Promise<void> {
  const { systemFile, baseUrl, signal, clock = systemClock, onSecond, onTrouble } = options;
  const plan = await readLoadPlan(systemFile);
  const target = loadTarget(baseUrl, false);
  while (!signal.aborted) {
    try {
      await runLoad({
        plan,
        target,
        clock,
        signal,
        ratePerSecond: options.ratePerSecond ?? trafficDefaults.ratePerSecond,
        maxInFlight: 32,
        timeoutMs: 5_000,
        ...(onSecond ? { onSecond } : {}),
      });
    } catch (error) {
      onTrouble?.(error);
      await clock.sleep(retryMs, signal).catch(() => {});
    }
  }
}

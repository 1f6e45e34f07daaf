/**
 * When to start an instance again after it ended: the pure step.
 *
 * The first failure is answered at once, so that a killed process is missed as briefly as possible. Further
 * ones wait exponentially longer, with jitter, so that instances that fail for one reason do not come back in
 * one burst. An instance that keeps dying before or right after it became ready is in a crash loop: something
 * is wrong with it, not with the weather. It is reported, and tried again slowly.
 */
import type { Random } from "../clock/index.ts";

export const restartPolicy = {
  /** Wait before the second restart in a row, in milliseconds; doubles from there. */
  baseMs: 100,
  /** Longest wait outside a crash loop, in milliseconds. */
  capMs: 5_000,
  /** Ready for this long, an instance has proven itself: the next failure counts as the first. */
  stableMs: 30_000,
  /** An end before readiness, or this soon after it, is an early one. */
  earlyMs: 1_000,
  /** So many early ends within `windowMs` are a crash loop. */
  earlyEndsMax: 5,
  windowMs: 30_000,
  /** Wait in a crash loop: uniform between half of it and all of it, in milliseconds. */
  crashLoopMs: 20_000,
} as const;

export interface RestartState {
  /** Ends in a row without a stable run between them. */
  readonly failures: number;
  /** When the latest early ends were, on the monotonic clock; only those within the window. */
  readonly earlyEndsAtMs: readonly number[];
  /** Left only by a run that does not end early. */
  readonly crashLoop: boolean;
}

export const initialRestartState: RestartState = { failures: 0, earlyEndsAtMs: [], crashLoop: false };

export interface InstanceEnd {
  /** On the monotonic clock. */
  readonly atMs: number;
  /** How long it had been ready; `undefined` when it never was. */
  readonly readyForMs: number | undefined;
}

export interface RestartDecision {
  readonly state: RestartState;
  readonly delayMs: number;
}

export function stepRestart(state: RestartState, end: InstanceEnd, random: Random): RestartDecision {
  const { atMs, readyForMs } = end;
  const stable = readyForMs !== undefined && readyForMs >= restartPolicy.stableMs;
  const early = readyForMs === undefined || readyForMs < restartPolicy.earlyMs;
  const failures = stable ? 1 : state.failures + 1;
  const earlyEndsAtMs = early
    ? [...state.earlyEndsAtMs.filter((earlierMs) => earlierMs > atMs - restartPolicy.windowMs), atMs]
    : [];
  const crashLoop = early && (state.crashLoop || earlyEndsAtMs.length >= restartPolicy.earlyEndsMax);
  return {
    state: { failures, earlyEndsAtMs, crashLoop },
    delayMs: crashLoop ? spread(restartPolicy.crashLoopMs, random) : backoffMs(failures, random),
  };
}

function backoffMs(failures: number, random: Random): number {
  if (failures <= 1) return 0;
  return spread(Math.min(restartPolicy.capMs, restartPolicy.baseMs * 2 ** (failures - 2)), random);
}

/** Half of it for certain, so that there is always a wait, and half by chance. */
function spread(ms: number, random: Random): number {
  return ms / 2 + (random.next() * ms) / 2;
}

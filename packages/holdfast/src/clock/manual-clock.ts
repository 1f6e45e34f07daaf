/**
 * A clock that stands still until a test moves it. Timers fire in order of their time, then of their making.
 */
import type { Clock, Random, Timer } from "./clock.ts";
import { seededRandom } from "./seeded-random.ts";
import { sleepOn } from "./sleep.ts";

export interface ManualClockOptions {
  /** Wall time at the start, in milliseconds since the epoch. Default 1_750_000_000_000. */
  readonly wallMs?: number;
  /** Seed of the clock's randomness. Default 1. */
  readonly seed?: number;
}

export interface ManualClock extends Clock {
  /**
   * Moves time on by `ms`, firing every timer that falls due at its own instant. Between two instants the
   * pending promise callbacks run, so that code that awaits a sleep sees the time it was woken at. Moves that
   * overlap happen one after the other. Rejects with what a timer's callback throws.
   */
  advance(ms: number): Promise<void>;
  /** Moves only the wall clock, as an administrator or NTP would; may be negative. Timers do not notice. */
  jumpWall(ms: number): void;
  /** Timers that have not fired: a test that leaks one sees it here. */
  readonly pendingTimers: number;
}

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

export function manualClock(options: ManualClockOptions = {}): ManualClock {
  const random: Random = seededRandom(options.seed ?? 1);
  const pending = new Set<Pending>();
  let nowMs = 0;
  let wallOffsetMs = options.wallMs ?? 1_750_000_000_000;
  let made = 0;
  let moved: Promise<void> = Promise.resolve();

  const timer = (ms: number, run: () => void): Timer => {
    if (!(ms >= 0)) throw new RangeError(`a timer's delay should be 0 ms or more, got ${ms}`);
    const entry: Pending = { dueMs: nowMs + ms, order: made++, run };
    if (ms !== Number.POSITIVE_INFINITY) pending.add(entry);
    return { cancel: () => pending.delete(entry) };
  };

  const nextDue = (untilMs: number): Pending | undefined => {
    let next: Pending | undefined;
    for (const entry of pending) {
      if (entry.dueMs > untilMs) continue;
      if (!next || entry.dueMs < next.dueMs || (entry.dueMs === next.dueMs && entry.order < next.order))
        next = entry;
    }
    return next;
  };

  const advance = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms;
    await settle();
    for (let due = nextDue(untilMs); due; due = nextDue(untilMs)) {
      pending.delete(due);
      nowMs = due.dueMs;
      due.run();
      await settle();
    }
    nowMs = untilMs;
  };

  return {
    wallMs: () => Math.floor(nowMs + wallOffsetMs),
    monotonicMs: () => nowMs,
    timer,
    sleep: (ms, signal) => sleepOn(timer, ms, signal),
    random,
    advance(ms) {
      if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY))
        throw new RangeError(`time moves on by 0 ms or more, got ${ms} ms`);
      const move = moved.then(() => advance(ms));
      moved = move.catch(() => {});
      return move;
    },
    jumpWall(ms) {
      wallOffsetMs += ms;
    },
    get pendingTimers() {
      return pending.size;
    },
  };
}

/** Lets everything that is already able to run do so: a macrotask runs after the promise queue is empty. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

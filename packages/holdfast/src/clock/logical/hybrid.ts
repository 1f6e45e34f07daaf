/**
 * Hybrid logical clock: timestamps that respect "happened before" as Lamport's do, and stay close to wall time,
 * so that people and time-outs can use them. The wall clock's jumps back do not show.
 *
 * One bad clock would drag all others ahead, because every clock takes over the latest time it hears. So a
 * timestamp too far ahead of the local wall clock is refused, and changes nothing.
 *
 * @see S. Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014
 */
import type { Clock } from "../clock.ts";
import { ClockError } from "../clock-error.ts";

export interface HybridTime {
  /** The latest wall time heard of, Unix milliseconds, 48 bits. */
  readonly wallMs: number;
  /** Order within that millisecond, 16 bits. */
  readonly logical: number;
}

export interface HybridClockOptions {
  /** Milliseconds that a peer may be ahead of the local wall clock. Default 500. */
  readonly aheadMsMax?: number;
}

export interface HybridClock {
  /** A local event, or a message about to be sent: its time, later than all before. */
  now(): HybridTime;
  /**
   * A message that carried `time` has arrived: the time of its arrival, later than `time`.
   *
   * @throws {ClockError} HOLDFAST_CLOCK_SKEW when `time` is more than `aheadMsMax` ahead
   * @throws {RangeError} when a field does not fit into its bits
   */
  receive(time: HybridTime): HybridTime;
}

const logicalMax = 2 ** 16 - 1;
const wallMsMax = 2 ** 48 - 1;

export function hybridClock(clock: Clock, options: HybridClockOptions = {}): HybridClock {
  const { aheadMsMax = 500 } = options;
  if (!(aheadMsMax >= 0)) throw new RangeError(`aheadMsMax should be 0 or more, got ${aheadMsMax}`);
  let last: HybridTime = { wallMs: 0, logical: 0 };
  const advance = (known: HybridTime): HybridTime => {
    const wallMs = clock.wallMs();
    last = wallMs > known.wallMs ? { wallMs, logical: 0 } : next(known);
    return last;
  };
  return {
    now: () => advance(last),
    receive(time) {
      if (!isWithin(time.wallMs, wallMsMax) || !isWithin(time.logical, logicalMax))
        throw new RangeError(`a hybrid time has 48 and 16 bits, got ${time.wallMs} and ${time.logical}`);
      const aheadMs = time.wallMs - clock.wallMs();
      if (aheadMs > aheadMsMax) {
        throw new ClockError(
          "HOLDFAST_CLOCK_SKEW",
          `A peer's timestamp is ${aheadMs} ms ahead of this clock; at most ${aheadMsMax} ms are believed. Check time synchronisation on both machines.`,
          { aheadMs, aheadMsMax },
        );
      }
      return advance(compareHybrid(time, last) > 0 ? time : last);
    },
  };
}

/** Negative when `a` is earlier than `b`, positive when later, 0 when they are the same. */
export function compareHybrid(a: HybridTime, b: HybridTime): number {
  return a.wallMs - b.wallMs || a.logical - b.logical;
}

/** 16 hexadecimal digits that sort as text like the times do. */
export function encodeHybrid(time: HybridTime): string {
  return time.wallMs.toString(16).padStart(12, "0") + time.logical.toString(16).padStart(4, "0");
}

/** @returns `undefined` when `text` is not 16 lowercase hexadecimal digits */
export function decodeHybrid(text: string): HybridTime | undefined {
  if (!/^[0-9a-f]{16}$/.test(text)) return undefined;
  return { wallMs: Number.parseInt(text.slice(0, 12), 16), logical: Number.parseInt(text.slice(12), 16) };
}

/** When a millisecond's 65,536 times are used up, the next one is begun ahead of the wall clock. */
function next({ wallMs, logical }: HybridTime): HybridTime {
  return logical === logicalMax ? { wallMs: wallMs + 1, logical: 0 } : { wallMs, logical: logical + 1 };
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

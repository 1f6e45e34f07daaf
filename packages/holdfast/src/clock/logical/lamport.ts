/**
 * Lamport clock: one number for each process that respects "happened before". If one event can have influenced
 * another, its number is smaller; the reverse does not follow. Ties are broken by the process's name.
 *
 * @see L. Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978
 */
export interface LamportClock {
  /** The number of the last event. */
  readonly time: number;
  /** A local event, or a message about to be sent: its number. */
  tick(): number;
  /**
   * A message that carried `time` has arrived: the number of its arrival.
   *
   * @throws {RangeError} when `time` is no whole number from 0 to 2^53-2: the clock could not go on after it
   */
  receive(time: number): number;
}

export function lamportClock(start = 0): LamportClock {
  let time = checked(start);
  return {
    get time() {
      return time;
    },
    tick: () => ++time,
    receive(other) {
      time = Math.max(time, checked(other)) + 1;
      return time;
    },
  };
}

function checked(time: number): number {
  if (Number.isSafeInteger(time) && time >= 0 && time < Number.MAX_SAFE_INTEGER) return time;
  throw new RangeError(`a Lamport time should be a whole number from 0 to 2^53-2, got ${time}`);
}

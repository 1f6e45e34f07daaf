/**
 * Amounts of which only bounds are known: at least, probably, at most. All of them are 0 or more, so that sums
 * and products keep their order bound by bound, and a quotient turns the divisor's round. Whatever is computed from
 * points within the bounds lies within the bounds of the result.
 *
 * @see R. E. Moore, "Interval Analysis", 1966
 */
export interface Interval {
  readonly low: number;
  readonly mid: number;
  readonly high: number;
}

/** @throws {RangeError} unless 0 ≤ low ≤ mid ≤ high */
export function interval(low: number, mid: number, high: number): Interval {
  if (!(0 <= low && low <= mid && mid <= high))
    throw new RangeError(`an interval should have 0 ≤ low ≤ mid ≤ high, got ${low}, ${mid}, ${high}`);
  return { low, mid, high };
}

/** An amount that is known. */
export function exactly(value: number): Interval {
  return { low: value, mid: value, high: value };
}

export function add(a: Interval, b: Interval): Interval {
  return { low: a.low + b.low, mid: a.mid + b.mid, high: a.high + b.high };
}

export function multiply(a: Interval, b: Interval): Interval {
  return { low: a.low * b.low, mid: a.mid * b.mid, high: a.high * b.high };
}

/**
 * @param b above 0
 * @throws {RangeError} when `b` may be 0: nothing bounds the quotient
 */
export function divide(a: Interval, b: Interval): Interval {
  if (!(b.low > 0)) throw new RangeError(`a divisor should be above 0, got at least ${b.low}`);
  return { low: a.low / b.high, mid: a.mid / b.mid, high: a.high / b.low };
}

/** The next whole number: instances come whole. */
export function ceil(a: Interval): Interval {
  return rising(Math.ceil, a);
}

/** A function that rises (or stays) with each of its arguments, applied bound by bound. */
export function rising(f: (...values: number[]) => number, ...args: readonly Interval[]): Interval {
  const at = (bound: keyof Interval) => f(...args.map((arg) => arg[bound]));
  return { low: at("low"), mid: at("mid"), high: at("high") };
}

/** A function that falls (or stays) with each of its arguments: the bounds change places. */
export function falling(f: (...values: number[]) => number, ...args: readonly Interval[]): Interval {
  const turned = rising(f, ...args);
  return { low: turned.high, mid: turned.mid, high: turned.low };
}

/**
 * Amounts of which only bounds are known: at least, probably, at most. All of them are 0 or more, so that sums
 * and products keep their order bound by bound, and a quotient turns the divisor's round.
 */
export interface Interval {
  readonly low: number;
  readonly mid: number;
  readonly high: number;
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

/** @param b above 0 */
export function divide(a: Interval, b: Interval): Interval {
  return { low: a.low / b.high, mid: a.mid / b.mid, high: a.high / b.low };
}

/** A function that rises (or stays) with each of its arguments, applied bound by bound. */
export function rising(f: (...values: number[]) => number, ...args: readonly Interval[]): Interval {
  const at = (bound: keyof Interval) => f(...args.map((arg) => arg[bound]));
  return { low: at("low"), mid: at("mid"), high: at("high") };
}

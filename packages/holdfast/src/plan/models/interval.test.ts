import fc from "fast-check";
import { expect, test } from "vitest";
import {
  add,
  ceil,
  divide,
  exactly,
  falling,
  type Interval,
  interval,
  multiply,
  rising,
} from "./interval.ts";

const amount = fc.double({ min: 0, max: 1e9, noNaN: true });
const bounds = (smallest: number) =>
  fc
    .tuple(amount, amount, amount)
    .map((three) => three.map((one) => one + smallest).sort((a, b) => a - b) as [number, number, number])
    .map(([low, mid, high]) => interval(low, mid, high));
/** An interval and a point within it. */
const within = (smallest = 0) =>
  fc
    .tuple(bounds(smallest), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([one, share]) => ({ one, point: Math.min(one.high, one.low + share * (one.high - one.low)) }));

function expectContains({ low, mid, high }: Interval, value: number): void {
  // The last digit may differ: bounds and point are rounded each for itself.
  const hair = 1e-12 * Math.abs(value) + 1e-300;
  expect(low <= value + hair && value - hair <= high).toBe(true);
  expect(low <= mid && mid <= high).toBe(true);
}

test("every operation contains what points within its arguments give", () => {
  fc.assert(
    fc.property(within(), within(1e-6), (a, b) => {
      expectContains(add(a.one, b.one), a.point + b.point);
      expectContains(multiply(a.one, b.one), a.point * b.point);
      expectContains(divide(a.one, b.one), a.point / b.point);
      expectContains(ceil(a.one), Math.ceil(a.point));
      expectContains(
        rising((x, y) => Math.max(x, Math.sqrt(y)), a.one, b.one),
        Math.max(a.point, Math.sqrt(b.point)),
      );
      expectContains(
        falling((x) => 1 / (1 + x), a.one),
        1 / (1 + a.point),
      );
    }),
    { numRuns: 1_000 },
  );
});

test("chains of operations contain as well", () => {
  fc.assert(
    fc.property(within(), within(1e-3), within(), (a, b, c) => {
      const whole = ceil(divide(multiply(a.one, c.one), add(b.one, c.one)));
      expectContains(whole, Math.ceil((a.point * c.point) / (b.point + c.point)));
    }),
    { numRuns: 1_000 },
  );
});

test("what is known has no width", () => {
  expect(multiply(exactly(3), exactly(4))).toEqual({ low: 12, mid: 12, high: 12 });
});

test("bounds in the wrong order, negative ones and NaN are refused, and so is a divisor that may be 0", () => {
  for (const [low, mid, high] of [
    [2, 1, 3],
    [1, 3, 2],
    [-1, 0, 1],
    [Number.NaN, 1, 2],
    [0, 1, Number.NaN],
  ] as const)
    expect(() => interval(low, mid, high)).toThrow(RangeError);
  expect(() => divide(exactly(1), interval(0, 1, 2))).toThrow(/divisor should be above 0/);
});

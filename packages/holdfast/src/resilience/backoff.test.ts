import fc from "fast-check";
import { expect, test } from "vitest";
import { fullJitterMs } from "./backoff.ts";

test("waits are uniform below a ceiling that doubles with each attempt, up to the cap", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, draw) => {
        let ceiling = 50;
        for (let i = 1; i < attempt && ceiling < 2000; i++) ceiling *= 2;
        expect(fullJitterMs(attempt, draw)).toBe(draw * Math.min(2000, ceiling));
      },
    ),
  );
});

test("base and cap are the caller's to choose; attempts count from 1", () => {
  expect(fullJitterMs(3, 0.5, { baseMs: 10, capMs: 1000 })).toBe(20);
  expect(fullJitterMs(3, 0.5, { baseMs: 10, capMs: 30 })).toBe(15);
  expect(() => fullJitterMs(0, 0.5)).toThrow(RangeError);
});

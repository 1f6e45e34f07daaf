import fc from "fast-check";
import { expect, test } from "vitest";
import { downtime, fromRepair, inParallel, inSeries, kOfN } from "./availability.ts";
import { figures, why } from "./fixtures/figures.ts";

const share = fc.double({ min: 0, max: 1, noNaN: true });

test("the table of nines", () => {
  expect(figures(downtime(0.999)).hoursPerYear).toBeCloseTo(8.77, 2);
  expect(figures(downtime(0.999)).minutesPerMonth).toBeCloseTo(43.83, 2);
  expect(figures(downtime(0.9999)).hoursPerYear * 60).toBeCloseTo(52.6, 1);
  expect(figures(downtime(0.99999)).hoursPerYear * 60).toBeCloseTo(5.26, 2);
  expect(figures(downtime(0.99)).hoursPerYear / 24).toBeCloseTo(3.65, 2);
});

test("three in a row are less than the worst, two side by side more than the best", () => {
  expect(figures(inSeries([0.999, 0.999, 0.999])).share).toBeCloseTo(0.997003, 6);
  expect(figures(inParallel([0.99, 0.99])).share).toBeCloseTo(0.9999, 12);
  fc.assert(
    fc.property(fc.array(share, { minLength: 1, maxLength: 8 }), (shares) => {
      expect(figures(inSeries(shares)).share).toBeLessThanOrEqual(Math.min(...shares));
      expect(figures(inParallel(shares)).share).toBeGreaterThanOrEqual(Math.max(...shares) - 1e-12);
    }),
  );
});

/** Every way in which copies can be up or down, one by one. */
function kOfNTwin(needed: number, copies: number, up: number): number {
  let sum = 0;
  for (let state = 0; state < 2 ** copies; state++) {
    let working = 0;
    for (let copy = 0; copy < copies; copy++) working += (state >> copy) & 1;
    if (working >= needed) sum += up ** working * (1 - up) ** (copies - working);
  }
  return sum;
}

test("k of n agrees with counting every state", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.nat(10), share, (copies, k, up) => {
      const needed = Math.min(k, copies);
      expect(figures(kOfN(needed, copies, up)).share).toBeCloseTo(kOfNTwin(needed, copies, up), 9);
    }),
  );
});

test("n of n is in series, one of n is in parallel, and needing more is never more available", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), share, (copies, up) => {
      const all = Array.from({ length: copies }, () => up);
      expect(figures(kOfN(copies, copies, up)).share).toBeCloseTo(figures(inSeries(all)).share, 9);
      expect(figures(kOfN(1, copies, up)).share).toBeCloseTo(figures(inParallel(all)).share, 9);
      for (let needed = 0; needed < copies; needed++)
        expect(figures(kOfN(needed + 1, copies, up)).share).toBeLessThanOrEqual(
          figures(kOfN(needed, copies, up)).share + 1e-12,
        );
    }),
  );
});

test("up for 999 hours, down for one", () => {
  expect(figures(fromRepair(999, 1)).share).toBe(0.999);
});

test("what is no share is refused, with every one that is wrong", () => {
  expect(why(inSeries([0.9, 1.1, Number.NaN]))).toBe(
    "share 2 should be from 0 to 1, got 1.1; share 3 should be from 0 to 1, got NaN",
  );
  expect(why(inParallel([-0.1]))).toMatch(/got -0.1/);
  expect(why(kOfN(3, 2, 0.9))).toMatch(/needed should be a whole number from 0 to 2, got 3/);
  expect(why(downtime(99.9))).toMatch(/from 0 to 1, got 99.9/);
  expect(why(fromRepair(0, -1))).toMatch(/betweenFailures.*repair/);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { figures, why } from "./fixtures/figures.ts";
import { playForkJoin } from "./fixtures/queue-twin.ts";
import { forkJoin, harmonic, slowestOfExponential } from "./fork-join.ts";

const at = (branches: number, utilisation: number) =>
  figures(forkJoin({ branches, serviceMs: 1_000, arrivalsPerSecond: utilisation }));

test("one branch is M/M/1; two are (12 − ρ)/8 of it, exactly", () => {
  expect(at(1, 0.5)).toMatchObject({ meanResponseMs: 2_000, exact: true });
  expect(at(2, 0.5)).toMatchObject({ meanResponseMs: 2_000 * (11.5 / 8), exact: true });
  expect(at(3, 0.5).exact).toBe(false);
});

test("without load it is the slowest of n, H(n) service times", () => {
  for (const branches of [1, 2, 3, 8, 32])
    expect(at(branches, 0).meanResponseMs).toBeCloseTo(1_000 * harmonic(branches), 6);
});

test.each([
  [2, 0.5],
  [4, 0.7],
  [8, 0.5],
  [32, 0.6],
])("%i branches at %d: played through, within five per cent", (branches, utilisation) => {
  const played = playForkJoin({ seed: 17, calls: 200_000, branches, utilisation });
  expect(Math.abs((played * 1_000) / at(branches, utilisation).meanResponseMs - 1)).toBeLessThan(0.05);
});

test("the slowest of n: the mean is the integral of its tail, the percentile gives its share back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      (branches, share) => {
        const slowest = figures(slowestOfExponential(branches, 1));
        let integral = 0;
        const step = 0.002;
        for (let ms = step / 2; ms < 30; ms += step) integral += step * (1 - (1 - Math.exp(-ms)) ** branches);
        expect(slowest.meanMs).toBeCloseTo(integral, 3);
        expect((1 - Math.exp(-slowest.msAt(share))) ** branches).toBeCloseTo(share, 9);
      },
    ),
    { numRuns: 30 },
  );
});

test("more branches or more load never answer sooner", () => {
  const load = fc.double({ min: 0, max: 0.95, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 31 }), load, load, (branches, a, b) => {
      expect(at(branches, Math.max(a, b)).meanResponseMs).toBeGreaterThanOrEqual(
        at(branches, Math.min(a, b)).meanResponseMs - 1e-6,
      );
      expect(at(branches + 1, a).meanResponseMs).toBeGreaterThanOrEqual(
        at(branches, a).meanResponseMs - 1e-6,
      );
    }),
  );
});

test("beyond what was compared with simulation, and at full load, it does not say a number", () => {
  expect(why(forkJoin({ branches: 33, serviceMs: 1, arrivalsPerSecond: 1 }))).toMatch(/up to 32 only/);
  expect(why(forkJoin({ branches: 4, serviceMs: 10, arrivalsPerSecond: 100 }))).toMatch(/utilisation is 1/);
  expect(why(forkJoin({ branches: 0, serviceMs: 10, arrivalsPerSecond: 1 }))).toMatch(
    /branches should be a whole number/,
  );
  expect(why(slowestOfExponential(0.5, Number.NaN))).toMatch(/branches.*meanMs/);
});

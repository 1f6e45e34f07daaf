import fc from "fast-check";
import { expect, test } from "vitest";
import { figures, why } from "./fixtures/figures.ts";
import { fitUsl, usl } from "./usl.ts";

/** SPEC SDM91 on a Sun SPARCcenter 2000: Gunther, "Guerrilla Capacity Planning", 2007; data set of the R package usl. */
const specsdm91 = [
  [1, 64.9],
  [18, 995.9],
  [36, 1652.4],
  [72, 1853.2],
  [108, 1828.9],
  [144, 1775.0],
  [216, 1702.2],
].map(([n, throughput]) => ({ n: n as number, throughput: throughput as number }));

test("the fit of a published data set is the published one", () => {
  const fit = figures(fitUsl(specsdm91));
  expect(fit.alpha).toBeCloseTo(0.0277285, 5);
  expect(fit.beta).toBeCloseTo(0.0001044, 6);
  expect(fit.gamma).toBeCloseTo(89.995, 1);
  expect(fit).toMatchObject({ from: 1, to: 216 });
  expect(fit.r2).toBeGreaterThan(0.98);
  expect(figures(usl(fit)).peakAt).toBeCloseTo(96.5, 0);
});

const parameters = fc.record({
  alpha: fc.double({ min: 0, max: 0.5, noNaN: true }),
  beta: fc.double({ min: 1e-6, max: 0.01, noNaN: true }),
  gamma: fc.double({ min: 1, max: 10_000, noNaN: true }),
});

test("points of a curve give the curve back", () => {
  fc.assert(
    fc.property(parameters, (wanted) => {
      const { throughputAt } = figures(usl(wanted));
      const points = [1, 2, 4, 8, 16, 32, 64].map((n) => ({ n, throughput: throughputAt(n) }));
      const fitted = figures(usl(figures(fitUsl(points))));
      for (const n of [1, 3, 10, 50])
        expect(Math.abs(fitted.throughputAt(n) / throughputAt(n) - 1)).toBeLessThan(1e-3);
    }),
    { numRuns: 20 },
  );
});

test("the peak is the highest point", () => {
  fc.assert(
    fc.property(parameters, fc.double({ min: 1, max: 10_000, noNaN: true }), (wanted, n) => {
      const { peakThroughput, throughputAt } = figures(usl(wanted));
      expect(throughputAt(n)).toBeLessThanOrEqual(peakThroughput * (1 + 1e-9));
    }),
  );
});

test("without coherency there is no peak: Amdahl's law with contention, a straight line without", () => {
  expect(figures(usl({ alpha: 0.05, beta: 0, gamma: 10 }))).toMatchObject({
    peakAt: Infinity,
    peakThroughput: 200,
  });
  expect(figures(usl({ alpha: 0, beta: 0, gamma: 10 })).throughputAt(7)).toBe(70);
});

test("too few points, too small a range and bad parameters are refused", () => {
  expect(why(fitUsl(specsdm91.slice(0, 3)))).toMatch(/points should be 4 or more, got 3/);
  expect(why(fitUsl([1, 2, 2, 3].map((n) => ({ n, throughput: n }))))).toMatch(/n goes from 1 to 3/);
  expect(why(fitUsl([0, 2, 4, 8].map((n) => ({ n, throughput: n - 2 }))))).toMatch(
    /n of point 1.*throughput of point 1/,
  );
  expect(why(fitUsl([1, 2, 4, 8].map((n) => ({ n, throughput: 5 }))))).toMatch(/no curve/);
  expect(why(usl({ alpha: 2, beta: -1, gamma: Number.NaN }))).toMatch(/alpha.*beta.*gamma/);
});

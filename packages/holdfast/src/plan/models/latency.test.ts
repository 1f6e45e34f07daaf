import fc from "fast-check";
import { expect, test } from "vitest";
import { type Random, seededRandom } from "../../clock/index.ts";
import { figures, why } from "./fixtures/figures.ts";
import { type Hop, latencyBudget } from "./latency-budget.ts";
import { latencyLaw, normalAbove, normalQuantile } from "./latency-law.ts";

test("the normal law at published points, far tails included", () => {
  expect(normalAbove(0)).toBe(0.5);
  expect(normalAbove(1.959963984540054)).toBeCloseTo(0.025, 12);
  expect(normalAbove(-1)).toBeCloseTo(0.8413447460685429, 12);
  expect(normalAbove(6) / 9.865876450376981e-10).toBeCloseTo(1, 9);
  expect(normalQuantile(0.99)).toBeCloseTo(2.326347874040841, 9);
});

test("a law has the median and the 99th percentile that it was given", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1e4, noNaN: true }),
      fc.double({ min: 1, max: 50, noNaN: true }),
      (median, ratio) => {
        const law = figures(latencyLaw(median, median * ratio));
        expect(law.msAt(0.5) / median).toBeCloseTo(1, 6);
        expect(law.msAt(0.99) / (median * ratio)).toBeCloseTo(1, 6);
        expect(law.meanMs).toBeGreaterThanOrEqual(median * (1 - 1e-9));
      },
    ),
  );
});

/** Normal values by Box and Muller's method. */
const normal = (random: Random) =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());

function played(hops: readonly Hop[], share: number): { readonly mean: number; readonly at: number } {
  const random = seededRandom(31);
  const one = ({ medianMs, p99Ms }: Hop) =>
    medianMs * Math.exp((Math.log(p99Ms / medianMs) / 2.326347874040841) * normal(random));
  const times = Float64Array.from({ length: 200_000 }, () =>
    hops.reduce((total, hop) => {
      const calls = Array.from({ length: hop.calls ?? 1 }, () => one(hop));
      return total + (hop.order === "one-by-one" ? calls.reduce((a, b) => a + b) : Math.max(...calls));
    }, 0),
  ).sort();
  return {
    mean: times.reduce((a, b) => a + b) / times.length,
    at: times[Math.ceil(share * times.length) - 1] as number,
  };
}

const gateway = { name: "gateway", medianMs: 0.5, p99Ms: 2 };
const service = { name: "service", medianMs: 2, p99Ms: 10 };
const shards = { name: "shards", medianMs: 3, p99Ms: 30, calls: 10 };
const lookups = { name: "lookups", medianMs: 1, p99Ms: 5, calls: 4, order: "one-by-one" } as const;

test.each([
  ["two hops", [gateway, service]],
  ["a hop that asks ten at once", [gateway, shards]],
  ["all of them", [gateway, service, shards, lookups]],
])("%s: played through, the mean is right and the 99th percentile within a tenth", (_, hops) => {
  const twin = played(hops, 0.99);
  const budget = figures(latencyBudget(100, hops));
  expect(Math.abs(budget.meanMs / twin.mean - 1)).toBeLessThan(0.02);
  expect(Math.abs(budget.p99Ms / twin.at - 1)).toBeLessThan(0.1);
});

test("one hop is itself, shares add up to one, and what is left is told", () => {
  expect(figures(latencyBudget(50, [service]))).toMatchObject({
    p99Ms: expect.closeTo(10, 6),
    leftMs: expect.closeTo(40, 6),
  });
  const { hops } = figures(latencyBudget(5, [gateway, service, lookups]));
  expect(hops.map(({ share }) => share).reduce((a, b) => a + b)).toBeCloseTo(1, 9);
  expect(figures(latencyBudget(5, [service])).leftMs).toBeLessThan(0);
});

test("more calls at once never answer sooner", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), (calls) => {
      const at = (count: number) => figures(latencyBudget(100, [{ ...shards, calls: count }])).p99Ms;
      expect(at(calls + 1)).toBeGreaterThanOrEqual(at(calls));
    }),
    { numRuns: 30 },
  );
});

test("no hops, times of 0, a p99 below the median and half calls are refused together", () => {
  expect(why(latencyBudget(0, []))).toMatch(/objectiveP99Ms.*hops are none/);
  expect(
    why(
      latencyBudget(10, [
        { name: "a", medianMs: 5, p99Ms: 1, calls: 0.5 },
        { name: "b", medianMs: Number.NaN, p99Ms: 1 },
      ]),
    ),
  ).toMatch(/calls of a.*p99Ms 1 of a.*medianMs of b/);
  expect(why(latencyLaw(2, 1))).toMatch(/should not be below/);
});

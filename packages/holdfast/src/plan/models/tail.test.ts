import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../../clock/index.ts";
import { figures, why } from "./fixtures/figures.ts";
import { exponential } from "./fixtures/queue-twin.ts";
import { hedge, slowShareAllowed, tailAmplification } from "./tail.ts";

test.each([
  [0.01, 100, 0.634], // Dean and Barroso, 2013: one in a hundred slow, a hundred servers
  [0.0001, 2_000, 0.181], // the same: one in ten thousand, two thousand servers
  [0.01, 10, 0.0956],
])("%d slow, %i calls", (slow, calls, pages) => {
  expect(Math.abs(figures(tailAmplification(slow, calls)).share - pages)).toBeLessThan(0.0005);
});

test("as the product says it, call by call; and back", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.integer({ min: 1, max: 200 }),
      (slow, calls) => {
        let fine = 1;
        for (let call = 0; call < calls; call++) fine *= 1 - slow;
        const { share } = figures(tailAmplification(slow, calls));
        expect(share).toBeCloseTo(1 - fine, 9);
        if (share < 0.999) expect(figures(slowShareAllowed(share, calls)).share).toBeCloseTo(slow, 6);
      },
    ),
  );
});

test("no calls meet nothing slow, and certain slowness is met", () => {
  expect(figures(tailAmplification(1, 0)).share).toBe(0);
  expect(figures(tailAmplification(1, 3)).share).toBe(1);
  expect(figures(tailAmplification(0, 1_000)).share).toBe(0);
});

/** 99 % take about a millisecond, 1 % about a hundred. */
const twoSpeeds = (ms: number) => 0.99 * Math.exp(-ms) + 0.01 * Math.exp(-ms / 100);

test("hedging, played through: the tail and the extra load are as the formula says", () => {
  const afterMs = 10;
  const hedged = figures(hedge({ slowerThan: twoSpeeds, afterMs }));
  const random = seededRandom(29);
  const draw = () => exponential(random, random.next() < 0.99 ? 1 : 100);
  const times: number[] = [];
  let copies = 0;
  for (let call = 0; call < 500_000; call++) {
    const first = draw();
    if (first > afterMs) copies++;
    times.push(first > afterMs ? Math.min(first, afterMs + draw()) : first);
  }
  times.sort((a, b) => a - b);
  expect(Math.abs(copies / times.length / hedged.addedLoad - 1)).toBeLessThan(0.05);
  for (const share of [0.5, 0.99, 0.999])
    expect(
      Math.abs((times[Math.ceil(share * times.length) - 1] as number) / hedged.msAt(share) - 1),
    ).toBeLessThan(0.05);
  // The point of it: a hundredth more requests, and the slowest thousandth is many times faster.
  expect(hedged.addedLoad).toBeLessThan(0.0101);
  expect(hedged.msAt(0.999)).toBeLessThan(20);
  expect(twoSpeeds(200)).toBeGreaterThan(0.001);
});

test("a hedge is never slower than no hedge, and waiting longer adds less load", () => {
  const ms = fc.double({ min: 0, max: 500, noNaN: true });
  fc.assert(
    fc.property(ms, ms, ms, (at, a, b) => {
      const early = figures(hedge({ slowerThan: twoSpeeds, afterMs: Math.min(a, b) }));
      const late = figures(hedge({ slowerThan: twoSpeeds, afterMs: Math.max(a, b) }));
      expect(early.slowerThan(at)).toBeLessThanOrEqual(twoSpeeds(at));
      expect(late.addedLoad).toBeLessThanOrEqual(early.addedLoad);
    }),
  );
});

test("shares beyond 1, negative calls and NaN are refused", () => {
  expect(why(tailAmplification(1.5, -1))).toMatch(/slowShare.*calls/);
  expect(why(slowShareAllowed(0.1, 0))).toMatch(/calls should be above 0/);
  expect(why(hedge({ slowerThan: () => Number.NaN, afterMs: -1 }))).toMatch(/afterMs.*slowerThan/);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../clock/index.ts";
import { zipf } from "./zipf.ts";

/** The obvious twin: the law itself, summed up. */
function lawOf(count: number, exponent: number): number[] {
  const weights = Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

test("frequencies follow the law, for any number of ranks and exponent", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0, max: 3, noNaN: true }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (count, exponent, seed) => {
        const draws = 4_000;
        const random = seededRandom(seed);
        const draw = zipf(count, exponent);
        const seen = new Array<number>(count).fill(0);
        for (let i = 0; i < draws; i++) {
          const rank = draw(random);
          seen[rank] = (seen[rank] ?? 0) + 1;
        }
        expect(seen).toHaveLength(count);
        // Six standard deviations of a binomial count, and a half for its steps.
        lawOf(count, exponent).forEach((share, rank) => {
          const spread = Math.sqrt(draws * share * (1 - share));
          expect(Math.abs((seen[rank] ?? 0) - draws * share)).toBeLessThanOrEqual(6 * spread + 1.5);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test("exponents close to 1 and 0 are as smooth as their neighbours", () => {
  for (const exponent of [0, 1e-12, 1 - 1e-12, 1, 1 + 1e-12]) {
    const random = seededRandom(7);
    const draw = zipf(1_000, exponent);
    let first = 0;
    for (let i = 0; i < 20_000; i++) if (draw(random) === 0) first++;
    const share = lawOf(1_000, exponent)[0] ?? 0;
    expect(Math.abs(first / 20_000 - share)).toBeLessThan(0.015);
  }
});

test("a billion ranks need no table", () => {
  const random = seededRandom(1);
  const draw = zipf(1e9, 0.99);
  const drawn = Array.from({ length: 1_000 }, () => draw(random));
  expect(Math.max(...drawn)).toBeLessThan(1e9);
  expect(Math.max(...drawn)).toBeGreaterThan(1e6);
});

test("no ranks and no sensible exponent are refused", () => {
  for (const count of [0, -1, 1.5, Number.NaN]) expect(() => zipf(count, 1)).toThrow(RangeError);
  for (const exponent of [-1, Number.NaN, Infinity]) expect(() => zipf(10, exponent)).toThrow(RangeError);
});

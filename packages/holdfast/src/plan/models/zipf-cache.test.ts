import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../../clock/index.ts";
import { zipf } from "../../load/index.ts";
import { figures, why } from "./fixtures/figures.ts";
import {
  hottestShare,
  idealHitRatio,
  itemsForHitRatio,
  lruHitRatio,
  lruItemsForHitRatio,
  zipfWeight,
} from "./zipf-cache.ts";

const exponent = fc.oneof(fc.double({ min: 0, max: 2, noNaN: true }), fc.constant(1));

function weightTwin(n: number, s: number): number {
  let sum = 0;
  for (let k = n; k >= 1; k--) sum += k ** -s;
  return sum;
}

test("the weight of n items agrees with its sum, term by term", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), exponent, (n, s) => {
      expect(Math.abs(zipfWeight(n, s) / weightTwin(n, s) - 1)).toBeLessThan(1e-12);
    }),
  );
});

test("known sums: the harmonic numbers, and π²/6", () => {
  expect(zipfWeight(1_000_000, 1)).toBeCloseTo(14.392726722865723, 10);
  expect(zipfWeight(1e15, 2)).toBeCloseTo(Math.PI ** 2 / 6, 12);
});

test("the number of items for a hit ratio brings it, and one fewer does not", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000_000 }),
      exponent,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (items, s, wanted) => {
        const popularity = { items, exponent: s };
        const { held } = figures(itemsForHitRatio(popularity, wanted));
        expect(figures(idealHitRatio(popularity, held)).hitRatio).toBeGreaterThanOrEqual(wanted * (1 - 1e-9));
        if (held > 0)
          expect(figures(idealHitRatio(popularity, held - 1)).hitRatio).toBeLessThanOrEqual(wanted);
      },
    ),
  );
});

/** An LRU cache, asked by the sampler of the load engine. */
function playLru(items: number, s: number, held: number, requests: number): number {
  const draw = zipf(items, s);
  const random = seededRandom(23);
  const cache = new Map<number, true>();
  let hits = 0;
  for (let request = 0; request < requests; request++) {
    const key = draw(random);
    if (cache.delete(key)) {
      if (request >= requests / 2) hits++;
    } else if (cache.size >= held) cache.delete(cache.keys().next().value as number);
    cache.set(key, true);
  }
  return hits / (requests / 2);
}

test.each([
  [1_000, 0.8, 100],
  [10_000, 1, 500],
  [50_000, 0.9, 1_000],
])(
  "%i items, exponent %d, %i held: an LRU cache played through hits as Che's approximation says",
  (items, s, held) => {
    const model = figures(lruHitRatio({ items, exponent: s }, held)).hitRatio;
    expect(Math.abs(playLru(items, s, held, 300_000) - model)).toBeLessThan(0.01);
  },
);

test("LRU is never better than the ideal, and both rise with what is held", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 1_000_000 }),
      exponent,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (items, s, share) => {
        const popularity = { items, exponent: s };
        const held = Math.floor(share * items);
        const lru = figures(lruHitRatio(popularity, held)).hitRatio;
        expect(lru).toBeLessThanOrEqual(figures(idealHitRatio(popularity, held)).hitRatio + 1e-4);
        expect(lru).toBeLessThanOrEqual(
          figures(lruHitRatio(popularity, Math.min(items, held * 2 + 1))).hitRatio + 1e-4,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test("what an LRU cache has to hold for a hit ratio brings it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 1_000_000_000 }),
      exponent,
      fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      (items, s, wanted) => {
        const popularity = { items, exponent: s };
        const { held } = figures(lruItemsForHitRatio(popularity, wanted));
        expect(figures(lruHitRatio(popularity, held)).hitRatio).toBeGreaterThanOrEqual(wanted - 1e-4);
      },
    ),
    { numRuns: 50 },
  );
});

test("alike items: the hit ratio is the share that is held, and the hottest has its n-th part", () => {
  const alike = { items: 1_000_000, exponent: 0 };
  expect(figures(idealHitRatio(alike, 250_000)).hitRatio).toBeCloseTo(0.25, 12);
  expect(figures(lruHitRatio(alike, 250_000)).hitRatio).toBeCloseTo(0.25, 4);
  expect(figures(hottestShare(alike)).share).toBeCloseTo(1e-6, 15);
});

test("nothing held, everything held, and bad figures", () => {
  const popularity = { items: 100, exponent: 1 };
  expect(figures(idealHitRatio(popularity, 0)).hitRatio).toBe(0);
  expect(figures(lruHitRatio(popularity, 100)).hitRatio).toBe(1);
  expect(figures(itemsForHitRatio(popularity, 1)).held).toBe(100);
  expect(why(idealHitRatio({ items: 0.5, exponent: Number.NaN }, -1))).toMatch(/items.*exponent.*held/);
  expect(why(itemsForHitRatio(popularity, 1.1))).toMatch(/hitRatio should be from 0 to 1/);
});

test("all but one item held: an answer at once, and nearly every request a hit", () => {
  for (const items of [2, 1_000, 1_001, 1_000_000, 1_000_000_000])
    for (const exponent of [0, 0.5, 1, 2]) {
      const { hitRatio } = figures(lruHitRatio({ items, exponent }, items - 1));
      expect(hitRatio).toBeGreaterThan(0.49);
      expect(hitRatio).toBeLessThanOrEqual(1);
    }
});

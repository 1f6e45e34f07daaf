import { expect, test } from "vitest";
import { type Random, randomInt } from "./clock.ts";
import { seededRandom } from "./seeded-random.ts";
import { systemRandom } from "./system-clock.ts";

test("a seed gives the same draws for ever", () => {
  const random = seededRandom(42);
  expect([random.uint32(), random.uint32(), random.next(), [...random.bytes(4)]]).toEqual([
    2852766471,
    4136168353,
    0.262362563284114,
    [41, 29, 226, 215],
  ]);
  expect(seededRandom(1).uint32()).not.toBe(seededRandom(2).uint32());
  expect(seededRandom(7 + 2 ** 32).uint32()).toBe(seededRandom(7).uint32());
});

test.each<[string, Random]>([
  ["seeded", seededRandom(3)],
  ["system", systemRandom],
])("%s draws are uniform: each tenth comes up a tenth of the time", (_, random) => {
  // 99.99999 % of samples lie below 47 with 9 degrees of freedom (chi squared).
  const chiSquared = (draw: () => number) => {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 50_000; i++) (counts[Math.floor(draw() * 10)] as number)++;
    return counts.reduce((sum, count) => sum + (count - 5000) ** 2 / 5000, 0);
  };
  expect(chiSquared(() => random.next())).toBeLessThan(47);
  expect(chiSquared(() => random.uint32() / 2 ** 32)).toBeLessThan(47);
  const bits = new Array<number>(8).fill(0);
  for (const byte of random.bytes(20_000))
    for (let bit = 0; bit < 8; bit++) bits[bit] = (bits[bit] as number) + ((byte >> bit) & 1);
  for (const ones of bits) expect(Math.abs(ones - 10_000)).toBeLessThan(400); // 5.6 standard deviations
});

test("words are whole numbers of 32 bits, and the pool behind the system's is filled again", () => {
  const words = Array.from({ length: 5000 }, () => systemRandom.uint32());
  for (const word of words) expect(Number.isInteger(word) && word >= 0 && word < 2 ** 32).toBe(true);
  expect(new Set(words).size).toBeGreaterThan(4990);
});

test("an integer is drawn below its bound, and a bound that is none is refused", () => {
  const random = seededRandom(5);
  const drawn = new Set(Array.from({ length: 200 }, () => randomInt(random, 6)));
  expect([...drawn].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  for (const bound of [0, -1, 1.5, Number.NaN]) expect(() => randomInt(random, bound)).toThrow(RangeError);
});

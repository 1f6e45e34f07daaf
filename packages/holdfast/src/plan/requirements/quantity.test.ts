import fc from "fast-check";
import { expect, test } from "vitest";
import { parseQuantity } from "./quantity.ts";
import { type Dimension, units } from "./units.ts";

const value = (given: unknown, dimension: Dimension) => {
  const parsed = parseQuantity(given, dimension);
  return "value" in parsed ? parsed.value.mid : parsed.problem;
};

test.each([
  ["2 MB", "bytes", 2e6],
  ["200 B", "bytes", 200],
  ["1.5 KiB", "bytes", 1536],
  [512, "bytes", 512],
  ["100 M", "count", 1e8],
  ["1 billion", "count", 1e9],
  ["1,000,000", "count", 1e6],
  ["99.9 %", "ratio", 0.999],
  ["10:1", "ratio", 10],
  [0.5, "ratio", 0.5],
  ["250 ms", "ms", 250],
  ["1.5 s", "ms", 1500],
  ["200/s", "rate", 200],
  ["86400/day", "rate", 1],
  ["1 G/day", "rate", 1e9 / 86_400],
  ["2 weeks", "days", 14],
  ["5 years", "years", 5],
  ["6 months", "years", 0.5],
] as const)("%s as %s is %d", (text, dimension, expected) => {
  expect(value(text, dimension)).toBeCloseTo(expected, 9);
});

test.each([
  ["2 MX", "bytes", 'has the unit "MX" in "2 MX"; use B, kB'],
  ["250 ms", "bytes", 'has the unit "ms"'],
  ["200", "bytes", 'has no unit in "200"'],
  ["much", "bytes", 'should begin with a number, got "much"'],
  [-1, "count", "should be 0 or more, got -1"],
  ["-3 M", "count", "should be 0 or more, got -3 M"],
  [Number.NaN, "rate", "should be a finite number, got NaN"],
  ["1:0", "ratio", "should be a finite number, got 1:0"],
  [null, "ms", "should be a number or text with a unit, got null"],
  [{}, "ms", "should be a number or text with a unit, got an object"],
  [[1, 2], "count", "should be one amount or [low, mid, high], got a list of 2"],
  [[3, 2, 1], "count", "should rise from low over mid to high, got [3,2,1]"],
  [["1 kB", "2 kX", "3 kB"], "bytes", 'has the unit "kX"'],
] as const)("%j is no %s", (given, dimension, problem) => {
  expect(value(given, dimension)).toContain(problem);
});

test("a number with any unit is that number times the unit", () => {
  const dimensions = Object.keys(units) as Dimension[];
  fc.assert(
    fc.property(
      fc.constantFrom(...dimensions),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.nat(),
      (dimension, amount, pick) => {
        const names = Object.keys(units[dimension]);
        const unit = names[pick % names.length] as string;
        const expected = amount * (units[dimension][unit] as number);
        expect(Math.abs((value(`${amount} ${unit}`, dimension) as number) - expected)).toBeLessThanOrEqual(
          expected * 1e-14,
        );
      },
    ),
  );
});

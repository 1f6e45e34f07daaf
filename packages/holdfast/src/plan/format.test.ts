import fc from "fast-check";
import { expect, test } from "vitest";
import { digits, formatInterval, formatValue } from "./format.ts";

test.each([
  [11_574.07, "/s", "11.6 k/s"],
  [1.16, "/s", "1.16/s"],
  [365e12, "B", "365 TB"],
  [3.65e18, "B", "3.65 EB"],
  [2.31e6, "B/s", "2.31 MB/s"],
  [0.999, "ratio", "99.9 %"],
  [0.99999, "ratio", "99.999 %"],
  [0.9999999999, "ratio", "over 99.9999 %"],
  [1, "ratio", "100 %"],
  [0.0956, "ratio", "9.56 %"],
  [250, "ms", "250 ms"],
  [90_000, "ms", "90 s"],
  [7 * 86_400_000, "ms", "7 days"],
  [999.6, "count", "1 k"],
  [0, "B", "0 B"],
  [1234.5, "EUR/month", "1,230 EUR/month"],
  [Number.POSITIVE_INFINITY, "ms", "unbounded"],
] as const)("%d %s is written %s", (value, unit, text) => {
  expect(formatValue(value, unit)).toBe(text);
});

test("bounds are told where they differ from the middle", () => {
  expect(formatInterval({ low: 1, mid: 1, high: 1 }, "count")).toBe("1");
  expect(formatInterval({ low: 1, mid: 2, high: 3_000 }, "count")).toBe("2 (1 to 3 k)");
});

test("from a thousand on a figure is a whole number, rounded once", () => {
  expect(digits(1_000.005, 6)).toBe("1,000");
  expect(digits(1_999.4996, 6)).toBe("1,999");
  expect(digits(1_999.5, 3)).toBe("2,000");
});

test("digits say the number that was rounded, whatever its size", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-9, max: 1e15, noNaN: true }),
      fc.integer({ min: 1, max: 6 }),
      (value, significant) => {
        const text = digits(value, significant);
        expect(text).toMatch(/^[\d,]+(\.\d+)?$/);
        const back = Number(text.replaceAll(",", ""));
        // From a thousand on the last digit that can be told is the one.
        const told = back >= 1_000 ? Math.min(significant, Math.floor(Math.log10(back)) + 1) : significant;
        expect(Math.abs(back / value - 1)).toBeLessThanOrEqual(0.5 * 10 ** (1 - told) + 1e-9);
      },
    ),
  );
});

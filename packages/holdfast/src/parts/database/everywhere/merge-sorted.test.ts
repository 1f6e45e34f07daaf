import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeSorted } from "./merge-sorted.ts";
import { compareDecimals } from "./order-type.ts";
import { addDecimals } from "./totals.ts";

test("merged lists are all items sorted, equal ones in the order of their lists, as many as are wanted", () => {
  const lists = fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 }), { maxLength: 9 });
  fc.assert(
    fc.property(lists, fc.integer({ min: 0, max: 80 }), (given, count) => {
      const sorted = given.map((list, from) =>
        list.toSorted((a, b) => a - b).map((value, at) => ({ value, from, at })),
      );
      const twin = sorted.flat().sort((a, b) => a.value - b.value || a.from - b.from || a.at - b.at);
      expect(mergeSorted(sorted, count, (a, b) => a.value - b.value)).toEqual(twin.slice(0, count));
    }),
    { numRuns: 500 },
  );
});

test("a list that is not sorted is found out", () => {
  expect(() => mergeSorted([[1, 3, 2], [1]], 4, (a, b) => a - b)).toThrow(/list 0 is not sorted/);
});

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), fc.integer({ min: 0, max: 12 }))
  .map(([units, digits]) => ({ units, digits, text: decimalText(units, digits) }));

function decimalText(units: bigint, digits: number): string {
  const text = (units < 0n ? -units : units).toString().padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return `${units < 0n ? "-" : ""}${whole}${digits ? `.${text.slice(-digits)}` : ""}`;
}

test("decimals are compared and added up exactly", () => {
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const scale = Math.max(a.digits, b.digits);
      const [left, right] = [
        a.units * 10n ** BigInt(scale - a.digits),
        b.units * 10n ** BigInt(scale - b.digits),
      ];
      expect(Math.sign(compareDecimals(a.text, b.text))).toBe(left < right ? -1 : left > right ? 1 : 0);
      expect(addDecimals(a.text, b.text)).toBe(decimalText(left + right, scale));
    }),
    { numRuns: 1_000 },
  );
});

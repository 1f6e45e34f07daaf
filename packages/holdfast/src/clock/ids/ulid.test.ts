import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../index.ts";
import { formatUlid, parseUlid, ulidGenerator } from "./ulid.ts";

test("the specification's example has the time it says", () => {
  expect(parseUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV")?.unixMs).toBe(1_469_922_850_259);
  expect(formatUlid({ unixMs: 1_469_918_176_385, random: 0n }).slice(0, 10)).toBe("01ARYZ6S41");
});

test("any fields come back as they were, in the order of their numbers", () => {
  const fields = fc.record({
    unixMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    random: fc.bigInt({ min: 0n, max: (1n << 80n) - 1n }),
  });
  fc.assert(
    fc.property(fields, fields, (a, b) => {
      expect(parseUlid(formatUlid(a))).toEqual(a);
      const value = ({ unixMs, random }: typeof a) => (BigInt(unixMs) << 80n) | random;
      expect(formatUlid(a) < formatUlid(b)).toBe(value(a) < value(b));
    }),
  );
});

test("ids rise by one within a millisecond, and rise whatever the clock does", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 60 }),
      fc.integer(),
      (jumps, seed) => {
        const clock = manualClock({ seed });
        const next = ulidGenerator(clock);
        let last = parseUlid(next());
        for (const jumpMs of jumps) {
          clock.jumpWall(jumpMs);
          const id = parseUlid(next());
          if (!id || !last) throw new Error("not a ULID");
          if (clock.wallMs() > last.unixMs) expect(id.unixMs).toBe(clock.wallMs());
          else expect(id).toEqual({ unixMs: last.unixMs, random: last.random + 1n });
          last = id;
        }
      },
    ),
  );
});

test("a random part that is full takes the next millisecond", () => {
  const clock = manualClock();
  const next = ulidGenerator({
    ...clock,
    wallMs: () => 1000,
    random: { ...clock.random, uint32: () => 0xffffffff },
  });
  expect(parseUlid(next())).toEqual({ unixMs: 1000, random: (1n << 80n) - 1n });
  expect(parseUlid(next())?.unixMs).toBe(1001);
});

test("letters that people confuse are read as what they meant, in either case", () => {
  expect(parseUlid("01arz3ndektsv4rrffq69g5fav")).toEqual(parseUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  expect(parseUlid("0IARZ3NDEKTSV4RRFFQ69G5FAV")).toEqual(parseUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  expect(parseUlid("O1ARZ3NDEKTSV4RRFFQ69G5FAV")).toEqual(parseUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
});

test("what is no ULID is not read: above 128 bits, wrong letters, wrong length", () => {
  expect(parseUlid("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")).toEqual({ unixMs: 2 ** 48 - 1, random: (1n << 80n) - 1n });
  for (const text of [
    "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "01ARZ3NDEKTSV4RRFFQ69G5FAU",
    "01ARZ3NDEKTSV4RRFFQ69G5FA",
    "",
  ])
    expect(parseUlid(text)).toBeUndefined();
  expect(() => formatUlid({ unixMs: 2 ** 48, random: 0n })).toThrow(RangeError);
  expect(() => formatUlid({ unixMs: 0, random: 1n << 80n })).toThrow(RangeError);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { keyHash, keyHashModulo, keyHashParts, moduloMax } from "./key-hash.ts";

/** The definition, read aloud in BigInt. */
function twin(key: string): bigint {
  const mask = (1n << 64n) - 1n;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(key)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  hash ^= hash >> 33n;
  hash = (hash * 0xff51afd7ed558ccdn) & mask;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & mask;
  return hash ^ (hash >> 33n);
}

const keys = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }), // every code point
  // Any code units at all, halves of surrogate pairs among them.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    .map((units) => String.fromCharCode(...units)),
);

test("the hash of any text is that of its definition", () => {
  fc.assert(
    fc.property(keys, (key) => {
      expect(keyHash(key)).toBe(twin(key));
    }),
    { numRuns: 2000 },
  );
});

test("the two halves and the remainder belong to the same hash", () => {
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: moduloMax }), (key, count) => {
      const { high, low } = keyHashParts(key);
      expect((BigInt(high) << 32n) | BigInt(low)).toBe(twin(key));
      expect(BigInt(keyHashModulo(key, count))).toBe(twin(key) % BigInt(count));
    }),
    { numRuns: 2000 },
  );
});

test("the hash never changes: data is placed by it", () => {
  expect([keyHash(""), keyHash("a"), keyHash("links/1"), keyHash("żółw 🐢")].map(String)).toEqual([
    "17280346270528514342",
    "9413272369427828315",
    "8358234665218546767",
    "14900410954811824024",
  ]);
});

test("keys that differ in one character spread evenly", () => {
  const counts = new Array<number>(32).fill(0);
  for (let i = 0; i < 32_000; i++) (counts[keyHashModulo(`user-${i}`, 32)] as number)++;
  for (const count of counts) {
    expect(count).toBeGreaterThan(850); // 1000 ± 4.8 standard deviations
    expect(count).toBeLessThan(1150);
  }
});

test("a remainder by nothing, or by more than is exact, is refused", () => {
  for (const count of [0, -1, 1.5, Number.NaN, moduloMax + 1])
    expect(() => keyHashModulo("a", count)).toThrow(RangeError);
});

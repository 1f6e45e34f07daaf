import fc from "fast-check";
import { expect, test } from "vitest";
import { bucketsMax, jumpBucket, jumpHash } from "./jump-hash.ts";
import { keyHash, keyHashModulo } from "./key-hash.ts";

/** Figure 1 of the paper, in BigInt where it has uint64_t. */
function twin(key: bigint, buckets: number): number {
  let seed = key;
  let bucket = -1;
  for (let next = 0; next < buckets; ) {
    bucket = next;
    seed = (seed * 2862933555777941757n + 1n) & 0xffffffffffffffffn;
    next = Math.floor((bucket + 1) * (2 ** 31 / Number((seed >> 33n) + 1n)));
  }
  return bucket;
}

const key64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test("published values", () => {
  expect(jumpHash(1n, 1)).toBe(0);
  expect(jumpHash(42n, 57)).toBe(43);
  expect(jumpHash(0xdead10ccn, 1)).toBe(0);
  expect(jumpHash(0xdead10ccn, 666)).toBe(361);
  expect(jumpHash(256n, 1024)).toBe(520);
});

test("the published rows of k1, k2 and k3 are rows of some key", () => {
  const rows = [
    [0, 0, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4],
    [0, 1, 1, 1, 1, 1, 1, 7, 7, 7, 7, 7, 7, 7],
    [0, 1, 1, 1, 1, 5, 5, 7, 7, 7, 10, 10, 10, 10],
  ];
  const wanted = new Set(rows.map(String));
  for (let key = 0n; wanted.size > 0 && key < 100_000n; key++)
    wanted.delete(String(Array.from({ length: 14 }, (_, n) => jumpHash(key, n + 1))));
  expect([...wanted]).toEqual([]);
});

test("any key and number of buckets: as the paper's code", () => {
  fc.assert(
    fc.property(
      key64,
      fc.oneof(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 1, max: bucketsMax })),
      (key, buckets) => {
        expect(jumpHash(key, buckets)).toBe(twin(key, buckets));
      },
    ),
    { numRuns: 2000 },
  );
});

test("one more bucket moves keys into the new one only", () => {
  fc.assert(
    fc.property(key64, fc.integer({ min: 1, max: 10_000 }), (key, buckets) => {
      const before = jumpHash(key, buckets);
      expect([before, buckets]).toContain(jumpHash(key, buckets + 1));
    }),
  );
});

test("a string is placed by its key hash", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 1000 }), (key, buckets) => {
      expect(jumpBucket(key, buckets)).toBe(jumpHash(keyHash(key), buckets));
    }),
  );
});

test("from 10 to 11 buckets it moves a tenth of what `hash % N` moves", () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
  const movedByJump = keys.filter((key) => jumpBucket(key, 10) !== jumpBucket(key, 11)).length;
  const movedByModulo = keys.filter((key) => keyHashModulo(key, 10) !== keyHashModulo(key, 11)).length;
  expect(movedByJump / keys.length).toBeCloseTo(1 / 11, 1);
  expect(movedByModulo / keys.length).toBeCloseTo(10 / 11, 1);
});

test("no bucket, half a bucket or too many are refused", () => {
  for (const buckets of [0, -10, 1.5, Number.NaN, 2 ** 31])
    expect(() => jumpHash(1n, buckets)).toThrow(RangeError);
});

/**
 * Jump consistent hash: key and number of buckets to a bucket, with no table at all. Growing from n to n+1
 * buckets moves 1/(n+1) of the keys, all of them into the new bucket. Buckets are numbered, so only the last
 * one can go away: it suits shards that are added, not nodes that die (for those, `hashRing`).
 *
 * @see J. Lamping, E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014, arXiv 1406.2294
 */
import { keyHashParts } from "./key-hash.ts";

export const bucketsMax = 2 ** 31 - 1;

/**
 * The bucket of a 64-bit integer, as published.
 *
 * @returns 0 to `buckets` - 1
 * @throws {RangeError} unless `buckets` is a whole number from 1 to 2^31-1
 */
export function jumpHash(key: bigint, buckets: number): number {
  return jump(Number((key >> 32n) & 0xffffffffn), Number(key & 0xffffffffn), buckets);
}

/** The bucket of a string key, by its `keyHash`. */
export function jumpBucket(key: string, buckets: number): number {
  const { high, low } = keyHashParts(key);
  return jump(high, low, buckets);
}

function jump(seedHigh: number, seedLow: number, buckets: number): number {
  if (!(Number.isInteger(buckets) && buckets >= 1 && buckets <= bucketsMax))
    throw new RangeError(`buckets should be a whole number from 1 to ${bucketsMax}, got ${buckets}`);
  let high = seedHigh;
  let low = seedLow;
  let bucket = -1;
  for (let next = 0; next < buckets; ) {
    bucket = next;
    // key = key * 2862933555777941757 + 1, modulo 2^64, in halves; the factor is 0x27bb2ee687b0b0fd.
    const lowLow = low & 0xffff;
    const lowHigh = low >>> 16;
    const first = lowLow * 0xb0fd + 1;
    const middle = lowHigh * 0xb0fd + Math.floor(first / 2 ** 16);
    const second = lowLow * 0x87b0 + (middle & 0xffff);
    const carried = lowHigh * 0x87b0 + Math.floor(middle / 2 ** 16) + Math.floor(second / 2 ** 16);
    high = (carried + Math.imul(high, 0x87b0b0fd) + Math.imul(low, 0x27bb2ee6)) >>> 0;
    low = ((second << 16) | (first & 0xffff)) >>> 0;
    next = Math.floor((bucket + 1) * (2 ** 31 / ((high >>> 1) + 1)));
  }
  return bucket;
}

/**
 * The hash that decides where a key lives: FNV-1a, 64 bits, over the key's UTF-8 bytes, finished by the
 * 64-bit mixer of MurmurHash3 so that similar keys spread.
 *
 * It is part of the data: changing it would move every row.
 *
 * Keys are hashed on every publish and every query, so the 64 bits are kept as two halves of 32: arithmetic on
 * a BigInt allocates at each step and costs some thirty times as much.
 *
 * @see Fowler, Noll, Vo; draft-eastlake-fnv; Appleby, MurmurHash3 `fmix64`
 */

/** A 64-bit hash as two unsigned halves. */
export interface HashParts {
  readonly high: number;
  readonly low: number;
}

// The result of the last `hashKey`, and nothing else: read it before anything else is hashed. Signed, because
// the engine keeps signed 32-bit integers without allocating.
let high = 0;
let low = 0;
const offsetHigh = 0xcbf29ce4 | 0;
const offsetLow = 0x84222325 | 0;
const encoder = new TextEncoder();

/** The hash of `key` as an unsigned 64-bit integer. */
export function keyHash(key: string): bigint {
  hashKey(key);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The same hash without a BigInt. */
export function keyHashParts(key: string): HashParts {
  hashKey(key);
  return { high: high >>> 0, low: low >>> 0 };
}

/** Largest divisor that `keyHashModulo` takes: up to it every step is exact. */
export const moduloMax = 2 ** 26;

/**
 * `keyHash(key) % count`, without a BigInt.
 *
 * @throws {RangeError} unless `count` is a whole number from 1 to 2^26
 */
export function keyHashModulo(key: string, count: number): number {
  if (!(Number.isInteger(count) && count >= 1 && count <= moduloMax))
    throw new RangeError(`count should be a whole number from 1 to ${moduloMax}, got ${count}`);
  hashKey(key);
  return (((high >>> 0) % count) * (2 ** 32 % count) + ((low >>> 0) % count)) % count;
}

function hashKey(key: string): void {
  // `hash = (hash ^ byte) * 0x100000001b3` for each byte; the prime is 2^40 + 0x1b3. A character of ASCII is its
  // own byte; at the first that is not, start again with the encoded bytes.
  let bytes: Uint8Array | undefined;
  let length = key.length;
  let upper = offsetHigh;
  let lower = offsetLow;
  for (let i = 0; i < length; i++) {
    const byte: number = bytes === undefined ? key.charCodeAt(i) : (bytes[i] as number);
    if (byte > 0x7f && bytes === undefined) {
      bytes = encoder.encode(key);
      length = bytes.length;
      upper = offsetHigh;
      lower = offsetLow;
      i = -1;
      continue;
    }
    const xored = (lower ^ byte) >>> 0;
    const product = xored * 0x1b3; // below 2^41: exact
    upper = (Math.imul(upper, 0x1b3) + Math.floor(product / 2 ** 32) + (xored << 8)) | 0;
    lower = product | 0;
  }
  high = upper;
  low = lower;
  finish();
}

function finish(): void {
  low ^= high >>> 1; // hash ^= hash >> 33
  multiply(0xff51afd7, 0xed558ccd);
  low ^= high >>> 1;
  multiply(0xc4ceb9fe, 0x1a85ec53);
  low ^= high >>> 1;
}

/** `hash = hash * factor` modulo 2^64, by the schoolbook in digits of 16 bits. */
function multiply(factorHigh: number, factorLow: number): void {
  const lowLow = low & 0xffff;
  const lowHigh = low >>> 16;
  const factorLowLow = factorLow & 0xffff;
  const factorLowHigh = factorLow >>> 16;
  const first = lowLow * factorLowLow;
  const middle = lowHigh * factorLowLow + (first >>> 16); // below 2^32: exact
  const second = lowLow * factorLowHigh + (middle & 0xffff);
  const carried = lowHigh * factorLowHigh + (middle >>> 16) + (second >>> 16);
  high = (carried + Math.imul(high, factorLow) + Math.imul(low, factorHigh)) | 0;
  low = (second << 16) | (first & 0xffff);
}

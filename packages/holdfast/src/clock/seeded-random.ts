import type { Random } from "./clock.ts";

/**
 * Repeatable randomness: the same seed gives the same draws on every machine. Not for secrets.
 *
 * @param seed any integer; only its low 32 bits count
 * @see "sfc32" (Small Fast Counter), PractRand by Chris Doty-Humphrey
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let counter = seed | 0;
  const word = (): number => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + out) | 0;
    return out >>> 0;
  };
  for (let warmup = 0; warmup < 15; warmup++) word();
  return {
    next: () => word() / 2 ** 32,
    uint32: word,
    bytes(length) {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = word() & 0xff;
      return out;
    },
  };
}

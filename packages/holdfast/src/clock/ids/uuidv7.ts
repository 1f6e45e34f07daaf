/**
 * UUIDv7: 48 bits of Unix milliseconds, then randomness, so that ids sort by the time they were made and fill a
 * B-tree from its right edge.
 *
 * Within a millisecond, and while the clock stands still or has gone back, a counter of 30 bits keeps them
 * rising: it begins at a random 29-bit value and grows by one (RFC 9562, section 6.2, method 1). That leaves
 * over 500 million ids a millisecond; after them the time is taken one millisecond ahead. 44 bits of each id
 * are drawn anew: ids are unique, but not secrets.
 *
 * @see RFC 9562, section 5.7
 */
import type { Clock } from "../clock.ts";

export interface Uuidv7Fields {
  /** Unix time in milliseconds, 48 bits. */
  readonly unixMs: number;
  /** 12 bits. */
  readonly randA: number;
  /** 62 bits. */
  readonly randB: bigint;
}

/** Unix milliseconds that 48 bits hold: until the year 10889. */
export const unixMsMax = 2 ** 48 - 1;

const counterBits = 30;

/** @returns a function that makes one UUID after another, each greater than the one before */
export function uuidv7Generator(clock: Clock): () => string {
  // The top bit of the counter begins as 0, so that there is always room to grow.
  return uuidv7GeneratorFrom(clock, () => clock.random.uint32() >>> (32 - counterBits + 1));
}

/** As above; `first` says where each millisecond's counter begins, from 0 to 2^30 - 1. */
export function uuidv7GeneratorFrom(clock: Clock, first: () => number): () => string {
  const { random } = clock;
  let lastMs = -1;
  let counter = 0;
  let prefix = "";
  const begin = (ms: number) => {
    lastMs = ms;
    counter = first();
    prefix = timePrefix(ms);
  };
  return () => {
    const nowMs = clock.wallMs();
    if (nowMs > lastMs) begin(nowMs);
    else if (++counter === 2 ** counterBits) begin(lastMs + 1);
    const drawn = random.uint32();
    return (
      prefix +
      tail(
        counter >>> 18,
        (counter >>> 4) & 0x3fff,
        ((counter & 0xf) << 20) | (drawn >>> 12),
        ((drawn & 0xfff) << 12) | (random.uint32() >>> 20),
      )
    );
  };
}

/** @throws {RangeError} when a field does not fit into its bits */
export function formatUuidv7({ unixMs, randA, randB }: Uuidv7Fields): string {
  if (!(Number.isInteger(randA) && randA >= 0 && randA < 2 ** 12))
    throw new RangeError(`randA should have 12 bits, got ${randA}`);
  if (randB < 0n || randB >= 1n << 62n) throw new RangeError(`randB should have 62 bits, got ${randB}`);
  const bits = (shift: bigint, count: bigint) => Number((randB >> shift) & ((1n << count) - 1n));
  return timePrefix(unixMs) + tail(randA, bits(48n, 14n), bits(24n, 24n), bits(0n, 24n));
}

/** @returns `undefined` when `text` is no UUID of version 7; upper and lower case are both read */
export function parseUuidv7(text: string): Uuidv7Fields | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(text)) return undefined;
  const randB = BigInt(`0x${text.slice(19, 23)}${text.slice(24)}`) & ((1n << 62n) - 1n);
  return {
    unixMs: Number.parseInt(text.slice(0, 8) + text.slice(9, 13), 16),
    randA: Number.parseInt(text.slice(15, 18), 16),
    randB,
  };
}

/** `xxxxxxxx-xxxx-7`: the same for all ids of one millisecond. */
function timePrefix(unixMs: number): string {
  if (!(Number.isInteger(unixMs) && unixMs >= 0 && unixMs <= unixMsMax))
    throw new RangeError(`unixMs should be a whole number from 0 to 2^48-1, got ${unixMs}`);
  const hex = unixMs.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
}

// One call with all the characters makes a flat string at once: several times as fast as adding up pieces.
const digit = Uint8Array.from("0123456789abcdef", (character) => character.charCodeAt(0));
const hyphen = 45;

function tail(a: number, b: number, c: number, d: number): string {
  return String.fromCharCode(
    digit[a >>> 8] as number,
    digit[(a >>> 4) & 15] as number,
    digit[a & 15] as number,
    hyphen,
    digit[0x8 | (b >>> 12)] as number,
    digit[(b >>> 8) & 15] as number,
    digit[(b >>> 4) & 15] as number,
    digit[b & 15] as number,
    hyphen,
    digit[c >>> 20] as number,
    digit[(c >>> 16) & 15] as number,
    digit[(c >>> 12) & 15] as number,
    digit[(c >>> 8) & 15] as number,
    digit[(c >>> 4) & 15] as number,
    digit[c & 15] as number,
    digit[d >>> 20] as number,
    digit[(d >>> 16) & 15] as number,
    digit[(d >>> 12) & 15] as number,
    digit[(d >>> 8) & 15] as number,
    digit[(d >>> 4) & 15] as number,
    digit[d & 15] as number,
  );
}

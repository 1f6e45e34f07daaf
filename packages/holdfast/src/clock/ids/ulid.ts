/**
 * ULID: 48 bits of Unix milliseconds and 80 random bits, as 26 characters of Crockford's base 32. They sort as
 * text by the time they were made, and have no letters that people confuse.
 *
 * Within a millisecond, and while the clock stands still or has gone back, the random part grows by one. When it
 * is full (the specification lets generation fail then) the time is taken one millisecond ahead instead.
 *
 * @see https://github.com/ulid/spec; D. Crockford, "Base 32"
 */
import type { Clock } from "../clock.ts";
import { unixMsMax } from "./uuidv7.ts";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const symbol = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));
const quarterMax = 2 ** 20;

export interface UlidFields {
  /** Unix time in milliseconds, 48 bits. */
  readonly unixMs: number;
  /** 80 bits. */
  readonly random: bigint;
}

/** @returns a function that makes one ULID after another, each greater than the one before */
export function ulidGenerator(clock: Clock): () => string {
  const { random } = clock;
  let lastMs = -1;
  let time = "";
  // The 80 bits, in quarters of 20: four characters each.
  let [a, b, c, d] = [0, 0, 0, 0];
  const begin = (ms: number) => {
    lastMs = ms;
    time = timeText(ms);
    a = random.uint32() >>> 12;
    b = random.uint32() >>> 12;
    c = random.uint32() >>> 12;
    d = random.uint32() >>> 12;
  };
  /** @returns false when the 80 bits are full */
  const grow = (): boolean => {
    if (++d < quarterMax) return true;
    d = 0;
    if (++c < quarterMax) return true;
    c = 0;
    if (++b < quarterMax) return true;
    b = 0;
    return ++a < quarterMax;
  };
  return () => {
    const nowMs = clock.wallMs();
    if (nowMs > lastMs) begin(nowMs);
    else if (!grow()) begin(lastMs + 1);
    return time + randomText(a, b, c, d);
  };
}

/** @throws {RangeError} when a field does not fit into its bits */
export function formatUlid({ unixMs, random }: UlidFields): string {
  if (random < 0n || random >= 1n << 80n) throw new RangeError(`random should have 80 bits, got ${random}`);
  const quarter = (shift: bigint) => Number((random >> shift) & 0xfffffn);
  return timeText(unixMs) + randomText(quarter(60n), quarter(40n), quarter(20n), quarter(0n));
}

/**
 * @returns `undefined` when `text` is no ULID: wrong length or letters, or above `7ZZZZZZZZZZZZZZZZZZZZZZZZZ`,
 *   where 128 bits end. Lower case is read, and so are I and L for 1 and O for 0, as Crockford has it
 */
export function parseUlid(text: string): UlidFields | undefined {
  if (!/^[0-7ILO][0-9A-TV-Z]{25}$/i.test(text)) return undefined;
  let value = 0n;
  for (const character of text.toUpperCase().replace(/[IL]/g, "1").replace(/O/g, "0"))
    value = value * 32n + BigInt(alphabet.indexOf(character));
  return { unixMs: Number(value >> 80n), random: value & ((1n << 80n) - 1n) };
}

function timeText(unixMs: number): string {
  if (!(Number.isInteger(unixMs) && unixMs >= 0 && unixMs <= unixMsMax))
    throw new RangeError(`unixMs should be a whole number from 0 to 2^48-1, got ${unixMs}`);
  let text = "";
  for (let left = unixMs, i = 0; i < 10; i++, left = Math.floor(left / 32)) text = alphabet[left % 32] + text;
  return text;
}

function randomText(a: number, b: number, c: number, d: number): string {
  return String.fromCharCode(
    symbol[a >>> 15] as number,
    symbol[(a >>> 10) & 31] as number,
    symbol[(a >>> 5) & 31] as number,
    symbol[a & 31] as number,
    symbol[b >>> 15] as number,
    symbol[(b >>> 10) & 31] as number,
    symbol[(b >>> 5) & 31] as number,
    symbol[b & 31] as number,
    symbol[c >>> 15] as number,
    symbol[(c >>> 10) & 31] as number,
    symbol[(c >>> 5) & 31] as number,
    symbol[c & 31] as number,
    symbol[d >>> 15] as number,
    symbol[(d >>> 10) & 31] as number,
    symbol[(d >>> 5) & 31] as number,
    symbol[d & 31] as number,
  );
}

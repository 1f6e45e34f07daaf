/**
 * KSUID: 32 bits of seconds since 13 May 2014 and 128 random bits, as 27 characters of base 62. They sort by
 * the second they were made in; within a second their order is random, which also makes them unguessable.
 *
 * @see https://github.com/segmentio/ksuid
 */
import type { Clock } from "../clock.ts";

/** Unix seconds that KSUIDs count from. They end in the year 2150. */
export const ksuidEpochS = 1_400_000_000;

export interface KsuidFields {
  /** Unix time in seconds. */
  readonly unixS: number;
  /** 16 bytes. */
  readonly payload: Uint8Array;
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const symbol = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));
const chars = 27;
const bytesTotal = 20;

export function ksuidGenerator(clock: Clock): () => string {
  const { random } = clock;
  return () => {
    const seconds = secondsSinceEpoch(Math.floor(clock.wallMs() / 1000));
    return toText([seconds, random.uint32(), random.uint32(), random.uint32(), random.uint32()]);
  };
}

/** @throws {RangeError} when the time is outside of 2014 to 2150, or the payload is not 16 bytes */
export function formatKsuid({ unixS, payload }: KsuidFields): string {
  if (payload.length !== 16) throw new RangeError(`the payload should have 16 bytes, got ${payload.length}`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return toText([secondsSinceEpoch(unixS), ...[0, 4, 8, 12].map((at) => view.getUint32(at))]);
}

/** @returns `undefined` when `text` is no KSUID: wrong length or letters, or more than 160 bits */
export function parseKsuid(text: string): KsuidFields | undefined {
  if (!/^[0-9A-Za-z]{27}$/.test(text)) return undefined;
  let value = 0n;
  for (const character of text) value = value * 62n + BigInt(alphabet.indexOf(character));
  if (value >= 1n << 160n) return undefined;
  const bytes = Buffer.from(value.toString(16).padStart(bytesTotal * 2, "0"), "hex");
  return { unixS: bytes.readUInt32BE(0) + ksuidEpochS, payload: new Uint8Array(bytes.subarray(4)) };
}

function secondsSinceEpoch(unixS: number): number {
  const seconds = unixS - ksuidEpochS;
  if (!(Number.isInteger(seconds) && seconds >= 0 && seconds < 2 ** 32))
    throw new RangeError(
      `a KSUID holds Unix seconds from ${ksuidEpochS} to ${ksuidEpochS + 2 ** 32 - 1}, got ${unixS}`,
    );
  return seconds;
}

const threeDigits = 62 ** 3;

/** Long division of five 32-bit words: each round leaves three digits of base 62, the last ones first. */
function toText(words: number[]): string {
  const text = new Array<number>(chars);
  for (let end = chars; end > 0; end -= 3) {
    let rest = 0;
    for (let i = 0; i < words.length; i++) {
      const value = rest * 2 ** 32 + (words[i] as number); // below 2^50: exact
      const quotient = Math.floor(value / threeDigits);
      words[i] = quotient;
      rest = value - quotient * threeDigits;
    }
    text[end - 1] = symbol[rest % 62] as number;
    text[end - 2] = symbol[Math.floor(rest / 62) % 62] as number;
    text[end - 3] = symbol[Math.floor(rest / 62 ** 2)] as number;
  }
  return String.fromCharCode(...text);
}

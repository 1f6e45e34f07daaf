/**
 * The types that rows of several shards can be ordered by, and how Postgres orders each.
 *
 * Values are compared as the text that the server writes, because what the driver makes of it may have lost
 * something: a Date has no microseconds, a number no 64 bits.
 */
import { compareUtf8 } from "../../../placement/index.ts";

export interface OrderType {
  /** As `cast` takes it. */
  readonly name: string;
  /** What a value of a cursor has to look like before it is sent. */
  readonly pattern: RegExp;
  /** Compares the texts that the server writes: of the value itself, or of its `epoch`. */
  compare(a: string, b: string): number;
  /** Text: ordered by its bytes, whatever the collation of the database is. */
  readonly collated?: true;
  /** Times: compared by their exact seconds since 1970, because their text depends on the session's settings. */
  readonly epoch?: true;
}

const integer = /^-?\d{1,19}$/;
const float = /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const numeric = /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?)$/;
/** ISO, as Postgres writes it: years of four digits and more, times to the microsecond, an offset, BC. */
const time =
  /^(?:-?infinity|\d{4,7}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-]\d\d(?::\d\d){0,2})?)?(?: BC)?)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the one character that Postgres's text cannot have
const anyText = /^[^\u0000]*$/u;

const integerType = (name: string): OrderType => ({ name, pattern: integer, compare: compareIntegers });
const floatType = (name: string): OrderType => ({ name, pattern: float, compare: compareFloats });
const textType = (name: string): OrderType => ({
  name,
  pattern: anyText,
  compare: compareUtf8,
  collated: true,
});
const timeType = (name: string): OrderType => ({
  name,
  pattern: time,
  compare: compareDecimals,
  epoch: true,
});

/** By the type's object id, which is the same on every Postgres. */
export const orderTypes: ReadonlyMap<number, OrderType> = new Map([
  [16, { name: "boolean", pattern: /^(?:true|false)$/, compare: compareUtf8 }],
  [20, integerType("int8")],
  [21, integerType("int2")],
  [23, integerType("int4")],
  [25, textType("text")],
  [700, floatType("float4")],
  [701, floatType("float8")],
  [1043, textType("varchar")],
  [1082, timeType("date")],
  [1114, timeType("timestamp")],
  [1184, timeType("timestamptz")],
  [1700, { name: "numeric", pattern: numeric, compare: compareDecimals }],
  [2950, { name: "uuid", pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, compare: compareUtf8 }],
]);

/** For messages. */
export const orderTypeNames = [...orderTypes.values()].map(({ name }) => name).join(", ");

function compareIntegers(a: string, b: string): number {
  const [left, right] = [BigInt(a), BigInt(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** NaN is equal to itself, and comes behind everything, as in an index of Postgres. */
function compareFloats(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)];
  if (Number.isNaN(left) || Number.isNaN(right))
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Decimals of any length: -Infinity, the numbers, Infinity, NaN. 1.0 is equal to 1. */
export function compareDecimals(a: string, b: string): number {
  if (a === b) return 0;
  const [special, otherSpecial] = [specialRank(a), specialRank(b)];
  if (special !== 0 || otherSpecial !== 0) return special - otherSpecial;
  const [negative, otherNegative] = [a.startsWith("-"), b.startsWith("-")];
  if (negative !== otherNegative) {
    if (isZero(a) && isZero(b)) return 0;
    return negative ? -1 : 1;
  }
  return negative ? compareMagnitudes(b.slice(1), a.slice(1)) : compareMagnitudes(a, b);
}

function specialRank(text: string): number {
  switch (text) {
    case "-Infinity":
      return -1;
    case "Infinity":
      return 1;
    case "NaN":
      return 2;
    default:
      return 0;
  }
}

function isZero(text: string): boolean {
  return !/[1-9]/.test(text);
}

/** Without signs. */
function compareMagnitudes(a: string, b: string): number {
  // The usual pair, such as two times: digit stands by digit.
  if (a.length === b.length && a.indexOf(".") === b.indexOf(".")) return a < b ? -1 : a > b ? 1 : 0;
  const [whole = "", fraction = ""] = a.split(".");
  const [otherWhole = "", otherFraction = ""] = b.split(".");
  const [left, right] = [whole.replace(/^0+/, ""), otherWhole.replace(/^0+/, "")];
  if (left.length !== right.length) return left.length - right.length;
  if (left !== right) return left < right ? -1 : 1;
  const length = Math.max(fraction.length, otherFraction.length);
  const [tail, otherTail] = [fraction.padEnd(length, "0"), otherFraction.padEnd(length, "0")];
  return tail < otherTail ? -1 : tail > otherTail ? 1 : 0;
}

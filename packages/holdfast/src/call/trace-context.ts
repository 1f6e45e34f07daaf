/**
 * W3C Trace Context: which request this work belongs to.
 *
 * @see https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
 */
import type { Random } from "../clock/index.ts";
import { isListText } from "./header-text.ts";

export interface TraceContext {
  /** 32 lowercase hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 lowercase hexadecimal digits, not all zero: the span that is the parent of whatever comes next. */
  readonly spanId: string;
  /** The span that this one was made on behalf of, when it is known. */
  readonly parentSpanId?: string | undefined;
  /** 8 bits; the lowest says "sampled", the next "the trace id is random". */
  readonly flags: number;
  /** The `tracestate` header as it came, at most 512 characters. */
  readonly state: string | undefined;
  /** The `baggage` header as it came, at most 8192 characters. */
  readonly baggage: string | undefined;
}

export const traceStateCharsMax = 512;
export const baggageCharsMax = 8192;

const sampled = 1;
const randomTraceId = 2;
const knownFlags = sampled | randomTraceId;

export function newTrace(random: Random, baggage?: string): TraceContext {
  return {
    traceId: nonZeroHex(random) + nonZeroHex(random),
    spanId: nonZeroHex(random),
    parentSpanId: undefined,
    flags: knownFlags,
    state: undefined,
    baggage,
  };
}

/** The same trace, one span further down. */
export function childSpan(trace: TraceContext, random: Random): TraceContext {
  return {
    traceId: trace.traceId,
    spanId: nonZeroHex(random),
    parentSpanId: trace.spanId,
    flags: trace.flags,
    state: trace.state,
    baggage: trace.baggage,
  };
}

const layout = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeroTraceId = "0".repeat(32);
const zeroSpanId = "0".repeat(16);

/**
 * Reads a `traceparent` header. Version 00 is exactly four fields; a higher version may have more after them,
 * which are ignored; ff is no version. Flags that this version does not know are dropped.
 *
 * @returns `undefined` when the header is malformed: then `tracestate` counts for nothing either
 */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (text.length < 55 || text.length > 512) return undefined;
  const match = layout.exec(text);
  if (!match) return undefined;
  const [, version, traceId, spanId, flags, more] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (traceId === zeroTraceId || spanId === zeroSpanId) return undefined;
  return {
    traceId,
    spanId,
    parentSpanId: undefined,
    flags: Number.parseInt(flags, 16) & knownFlags,
    state: undefined,
    baggage: undefined,
  };
}

/** As version 00, which every receiver reads. */
export function formatTraceparent(trace: TraceContext): string {
  return `00-${trace.traceId}-${trace.spanId}-0${trace.flags & knownFlags}`;
}

const member =
  /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Whether a `tracestate` header is a list of at most 32 `key=value` members, 512 characters in all. */
export function isTraceState(text: string): boolean {
  if (!isListText(text, traceStateCharsMax)) return false;
  const members = text.split(",").map((part) => part.trim());
  // Empty members are allowed, and say nothing.
  return members.length <= 32 && members.every((part) => part === "" || member.test(part));
}

export function isBaggage(text: string): boolean {
  return isListText(text, baggageCharsMax);
}

const digit = Uint8Array.from("0123456789abcdef", (character) => character.charCodeAt(0));

/** 16 hexadecimal digits, not all zero. */
function nonZeroHex(random: Random): string {
  for (;;) {
    const [a, b] = [random.uint32(), random.uint32()];
    if ((a | b) !== 0) return hex8(a) + hex8(b);
  }
}

function hex8(word: number): string {
  return String.fromCharCode(
    digit[word >>> 28] as number,
    digit[(word >>> 24) & 15] as number,
    digit[(word >>> 20) & 15] as number,
    digit[(word >>> 16) & 15] as number,
    digit[(word >>> 12) & 15] as number,
    digit[(word >>> 8) & 15] as number,
    digit[(word >>> 4) & 15] as number,
    digit[word & 15] as number,
  );
}

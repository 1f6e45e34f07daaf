/**
 * The call between processes: which header carries what, how it is read, and from whom it is believed.
 *
 * Reading never fails. A malformed header counts as absent and is counted, because a peer that sends nonsense
 * in one header still deserves its answer. From outside the system only the trace and the idempotency key are
 * believed: a stranger does not set our deadlines, attempts, sessions or principals, nor our baggage.
 */
import type { Clock } from "../clock/index.ts";
import type { Call, CallFields } from "./call.ts";
import { isVisibleAscii, wholeNumber } from "./header-text.ts";
import { decodeIdempotencyKey, encodeIdempotencyKey } from "./idempotency-key.ts";
import { decodePrincipal, encodePrincipal } from "./principal.ts";
import { Session } from "./session.ts";
import {
  childSpan,
  formatTraceparent,
  isBaggage,
  isTraceState,
  newTrace,
  parseTraceparent,
  type TraceContext,
} from "./trace-context.ts";

export const callHeaders = {
  traceparent: "traceparent",
  tracestate: "tracestate",
  baggage: "baggage",
  idempotencyKey: "idempotency-key",
  /** Milliseconds that are left, a whole number: durations survive clocks that disagree, instants do not. */
  deadline: "holdfast-deadline",
  attempt: "holdfast-attempt",
  session: "holdfast-session",
  principal: "holdfast-principal",
  requestId: "holdfast-request-id",
} as const;

export type CallHeader = (typeof callHeaders)[keyof typeof callHeaders];

/** Longest deadline that travels, in milliseconds: one day. What has longer waits in a queue, not in a call. */
export const deadlineMsMax = 86_400_000;
export const attemptMax = 100;
export const requestIdCharsMax = 64;

/** `Headers.get`, or a look into a plain object of lowercase names. */
export type HeaderGetter = (name: string) => string | null | undefined;

export interface HeaderReading {
  /** Told each header that was malformed and therefore ignored. */
  readonly count?: (header: CallHeader) => void;
}

/** Headers that only the system's own processes may set: a gateway strips them, both ways. */
export function isInternalHeader(name: string): boolean {
  return /^holdfast-/i.test(name);
}

/** What a peer within the system sent. `new Call(clock, callFromHeaders(…))` is the call on this side. */
export function callFromHeaders(get: HeaderGetter, clock: Clock, reading: HeaderReading = {}): CallFields {
  const { count } = reading;
  const read = <T>(header: CallHeader, parse: (text: string) => T | undefined): T | undefined => {
    const text = get(header);
    if (text === null || text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) count?.(header);
    return value;
  };
  const fields: { -readonly [Field in keyof CallFields]: CallFields[Field] } = {
    trace: readTrace(get, clock, count, true),
  };
  const idempotencyKey = read(callHeaders.idempotencyKey, decodeIdempotencyKey);
  if (idempotencyKey !== undefined) fields.idempotencyKey = idempotencyKey;
  const timeoutMs = read(callHeaders.deadline, parseDeadline);
  if (timeoutMs !== undefined) fields.timeoutMs = timeoutMs;
  const attempt = read(callHeaders.attempt, parseAttempt);
  if (attempt !== undefined) fields.attempt = attempt;
  const session = read(callHeaders.session, Session.decode);
  if (session !== undefined) fields.session = session;
  const principal = read(callHeaders.principal, decodePrincipal);
  if (principal !== undefined) fields.principal = principal;
  const requestId = read(callHeaders.requestId, parseRequestId);
  if (requestId !== undefined) fields.requestId = requestId;
  return fields;
}

/** What a stranger sent: only `traceparent`, `tracestate` and `idempotency-key` count. */
export function callFromOutside(get: HeaderGetter, clock: Clock, reading: HeaderReading = {}): CallFields {
  const { count } = reading;
  const trace = readTrace(get, clock, count, false);
  const text = get(callHeaders.idempotencyKey);
  if (text === null || text === undefined) return { trace };
  const idempotencyKey = decodeIdempotencyKey(text);
  if (idempotencyKey !== undefined) return { trace, idempotencyKey };
  count?.(callHeaders.idempotencyKey);
  return { trace };
}

/**
 * The headers that carry `call` to the next process, by lowercase name. What is left of the deadline is taken
 * now, so write them right before sending.
 *
 * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when the session does not fit into a header
 */
export function headersFromCall(call: Call): Record<string, string> {
  const headers: Record<string, string> = { [callHeaders.traceparent]: formatTraceparent(call.trace) };
  const { trace } = call;
  if (trace.state !== undefined) headers[callHeaders.tracestate] = trace.state;
  if (trace.baggage !== undefined) headers[callHeaders.baggage] = trace.baggage;
  if (call.idempotencyKey !== undefined)
    headers[callHeaders.idempotencyKey] = encodeIdempotencyKey(call.idempotencyKey);
  if (call.deadlineAtMs !== Infinity)
    headers[callHeaders.deadline] = String(Math.floor(Math.min(call.remainingMs(), deadlineMsMax)));
  if (call.attempt > 1) headers[callHeaders.attempt] = String(Math.min(call.attempt, attemptMax));
  const session = call.session.encode();
  if (session !== "") headers[callHeaders.session] = session;
  if (call.principal) {
    const principal = encodePrincipal(call.principal);
    if (principal !== undefined) headers[callHeaders.principal] = principal;
  }
  if (call.requestId !== undefined) headers[callHeaders.requestId] = call.requestId;
  return headers;
}

export interface HeaderCounter extends HeaderReading {
  readonly count: (header: CallHeader) => void;
  /** How often each header was malformed; those that never were are absent. */
  readonly counts: Readonly<Partial<Record<CallHeader, number>>>;
}

/** Counts malformed headers: hand it to `callFromHeaders` as its last argument. */
export function headerCounter(): HeaderCounter {
  const counts: Partial<Record<CallHeader, number>> = {};
  return {
    counts,
    count: (header) => {
      counts[header] = (counts[header] ?? 0) + 1;
    },
  };
}

/**
 * The span that begins here: a child of the sender's, in a trace of its own when the sender named none. It is
 * never the sender's span itself, because ids of calls are made from it and two receivers must differ.
 */
function readTrace(
  get: HeaderGetter,
  clock: Clock,
  count: HeaderReading["count"],
  withBaggage: boolean,
): TraceContext {
  let baggage: string | undefined;
  if (withBaggage) {
    const text = get(callHeaders.baggage);
    if (text !== null && text !== undefined) {
      if (isBaggage(text)) baggage = text;
      else count?.(callHeaders.baggage);
    }
  }
  const text = get(callHeaders.traceparent);
  if (text === null || text === undefined) return newTrace(clock.random, baggage);
  const sender = parseTraceparent(text);
  if (!sender) {
    count?.(callHeaders.traceparent);
    return newTrace(clock.random, baggage);
  }
  let state = get(callHeaders.tracestate) ?? undefined;
  if (state !== undefined && !isTraceState(state)) {
    count?.(callHeaders.tracestate);
    state = undefined;
  }
  return childSpan({ ...sender, state, baggage }, clock.random);
}

function parseDeadline(text: string): number | undefined {
  return wholeNumber(text, 0, deadlineMsMax);
}

function parseAttempt(text: string): number | undefined {
  return wholeNumber(text, 1, attemptMax);
}

function parseRequestId(text: string): string | undefined {
  return isVisibleAscii(text, requestIdCharsMax) ? text : undefined;
}

/**
 * A call: one operation on its way through the system, and what it carries.
 *
 * Inside a process the call travels in AsyncLocalStorage, so that every part finds the deadline, the trace
 * and the session without being handed them. Between processes it travels in headers (`headers.ts`).
 *
 * Asynchronous and shared work does not inherit its caller: use `detach`.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock, Timer } from "../clock/index.ts";
import { HoldfastError } from "./holdfast-error.ts";
import { checkIdempotencyKey } from "./idempotency-key.ts";
import type { Principal } from "./principal.ts";
import { Session } from "./session.ts";
import { childSpan, newTrace, type TraceContext } from "./trace-context.ts";

export interface CallFields {
  /** Identifies this operation for its whole life, retries included. Default: drawn. */
  readonly id?: string;
  /** Milliseconds from now until the call is worthless. Default: no deadline of its own; a parent's still holds. */
  readonly timeoutMs?: number;
  /** Aborted when the caller gives up. */
  readonly signal?: AbortSignal;
  readonly trace?: TraceContext;
  /** 1 to 255 visible ASCII characters. Never inherited: a key names one intention, not what it leads to. */
  readonly idempotencyKey?: string;
  readonly session?: Session;
  /** Default: the parent's. */
  readonly principal?: Principal | undefined;
  /** 1 for the first attempt. Default 1. */
  readonly attempt?: number;
  /** The request at the edge that all of this serves; the gateway draws it, and keeps it when it retries. */
  readonly requestId?: string;
}

const noSignals: readonly AbortSignal[] = [];
const nothing = () => {};

/**
 * Whoever makes a call ends it (`call.end()`, or `using call = new Call(…)`): that lets go of the timer and of
 * the listeners behind `signal`. A call whose signal nobody asked for holds nothing.
 *
 * Calls are made on the way of every request, and again for each attempt: what costs something (drawing ids, a
 * session, a timer) waits until somebody asks for it.
 */
export class Call implements Disposable {
  readonly idempotencyKey: string | undefined;
  readonly principal: Principal | undefined;
  readonly attempt: number;
  readonly requestId: string | undefined;
  readonly #clock: Clock;
  readonly #parent: Call | undefined;
  #id: string | undefined;
  /** Whether this is an attempt at the parent's operation, and not an operation of its own. */
  #isAttempt = false;
  #trace: TraceContext | undefined;
  #session: Session | undefined;
  #deadlineAtMs: number;
  /** What its maker and its ancestors' makers gave: any of them aborts this call. */
  readonly #given: readonly AbortSignal[];
  #controller: AbortController | undefined;
  #overs: Set<() => void> | undefined;
  /** Why it was aborted. */
  #reason: HoldfastError | undefined;
  #watching = false;
  #timer: Timer | undefined;
  #onGiven: ((event: Event) => void) | undefined;
  #ended = false;

  /**
   * @param parent what this call is made on behalf of: its deadline, signal, trace and session hold here too
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID for a timeout, attempt or key that is none
   */
  constructor(clock: Clock, fields: CallFields = {}, parent?: Call) {
    const { timeoutMs, attempt = 1 } = fields;
    if (timeoutMs !== undefined && !(timeoutMs >= 0))
      throw invalid("timeoutMs", "0 milliseconds or more", timeoutMs);
    if (!(Number.isInteger(attempt) && attempt >= 1))
      throw invalid("attempt", "a whole number from 1", attempt);
    this.#clock = clock;
    this.#parent = parent;
    this.#id = fields.id;
    this.#trace = fields.trace;
    this.#session = fields.session;
    const ownDeadlineAtMs = timeoutMs === undefined ? Infinity : clock.monotonicMs() + timeoutMs;
    this.#deadlineAtMs = Math.min(ownDeadlineAtMs, parent ? parent.#deadlineAtMs : Infinity);
    const inherited = parent ? parent.#given : noSignals;
    this.#given = fields.signal ? [...inherited, fields.signal] : inherited;
    this.idempotencyKey =
      fields.idempotencyKey === undefined ? undefined : checkIdempotencyKey(fields.idempotencyKey);
    this.principal = fields.principal ?? parent?.principal;
    this.attempt = attempt;
    this.requestId = fields.requestId ?? parent?.requestId;
  }

  /** Identifies this operation for its whole life, retries included. */
  get id(): string {
    this.#id ??=
      this.#isAttempt && this.#parent ? this.#parent.id : `${this.trace.traceId}-${this.trace.spanId}`;
    return this.#id;
  }

  /** The span of this call, in its parent's trace or one of its own. */
  get trace(): TraceContext {
    const { random } = this.#clock;
    this.#trace ??= this.#parent ? childSpan(this.#parent.trace, random) : newTrace(random);
    return this.#trace;
  }

  /** What has been seen on behalf of this call; shared with its parent, unless it was given its own. */
  get session(): Session {
    this.#session ??= this.#parent ? this.#parent.session : new Session();
    return this.#session;
  }

  /**
   * A call for one attempt at this operation: the same id and idempotency key, a span of its own.
   *
   * @param attempt 1 for the first
   * @param limits what this attempt may take, within what the call may
   */
  forAttempt(attempt: number, limits: Pick<CallFields, "timeoutMs" | "signal"> = {}): Call {
    const key = this.idempotencyKey;
    const fields = key === undefined ? { ...limits, attempt } : { ...limits, attempt, idempotencyKey: key };
    const own = new Call(this.#clock, fields, this);
    own.#isAttempt = true;
    return own;
  }

  /** On the clock's monotonic scale; `Infinity` when there is no deadline. */
  get deadlineAtMs(): number {
    return this.#deadlineAtMs;
  }

  /** Milliseconds until the deadline, 0 when it has passed, `Infinity` when there is none. */
  remainingMs(): number {
    return this.#deadlineAtMs === Infinity
      ? Infinity
      : Math.max(0, this.#deadlineAtMs - this.#clock.monotonicMs());
  }

  /**
   * Aborts at the deadline or when the caller gives up; its reason is a HoldfastError. Made on first use,
   * because most calls end without anybody asking; `undefined` when nothing can ever abort this call.
   */
  get signal(): AbortSignal | undefined {
    if (this.#controller) return this.#controller.signal;
    if (!this.#canEnd()) return undefined;
    this.#controller = new AbortController();
    this.#watch();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /**
   * Calls `run` once when `signal` would abort, at once when it would have: for hot paths, because it costs a
   * fraction of a listener on a signal.
   *
   * @returns how to stop waiting
   */
  whenOver(run: () => void): () => void {
    if (!this.#canEnd()) return nothing;
    this.#watch();
    if (this.#reason) {
      run();
      return nothing;
    }
    this.#overs ??= new Set();
    const overs = this.#overs.add(run);
    return () => overs.delete(run);
  }

  /** Why this call was aborted; `undefined` while it was not, or nobody waited for that. */
  get overReason(): HoldfastError | undefined {
    return this.#reason;
  }

  /**
   * Moves the deadline out, for work that several callers share: it lasts as long as the most patient of them.
   * A deadline never moves in, and calls made from this one before keep theirs.
   */
  extendTo(deadlineAtMs: number): void {
    // The timer, if one is set, finds out when it fires.
    if (deadlineAtMs > this.#deadlineAtMs) this.#deadlineAtMs = deadlineAtMs;
  }

  /** Throws when the deadline has passed or the caller has given up: nothing was sent, so not applied. */
  throwIfOver(): void {
    if (this.#deadlineAtMs !== Infinity && this.remainingMs() === 0) throw deadlineError(this, "not-applied");
    for (const signal of this.#given) {
      if (signal.aborted) throw callerGaveUp(signal.reason, "not-applied");
    }
  }

  /**
   * Lets go of timer and listeners; `signal` will not abort any more. May be called twice. It does not abort:
   * what still runs after its call has ended should have been detached from it.
   */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    const onGiven = this.#onGiven;
    if (!onGiven) return;
    for (const signal of this.#given) signal.removeEventListener("abort", onGiven);
    this.#onGiven = undefined;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Whether anything can ever abort it. */
  #canEnd(): boolean {
    return this.#deadlineAtMs !== Infinity || this.#given.length > 0;
  }

  #watch(): void {
    if (this.#watching || this.#reason) return;
    const early = this.#given.find((signal) => signal.aborted);
    if (early) this.#abort(callerGaveUp(early.reason));
    else if (this.remainingMs() === 0) this.#abort(deadlineError(this));
    if (this.#ended) return;
    this.#watching = true;
    if (this.#given.length > 0) {
      const onGiven = (event: Event) => this.#abort(callerGaveUp((event.target as AbortSignal).reason));
      for (const signal of this.#given) signal.addEventListener("abort", onGiven, { once: true });
      this.#onGiven = onGiven;
    }
    this.#waitForDeadline();
  }

  #waitForDeadline(): void {
    if (this.#deadlineAtMs === Infinity) return;
    this.#timer = this.#clock.timer(this.remainingMs(), () => {
      this.#timer = undefined;
      // Extended meanwhile, or the host fired a fraction of a millisecond early.
      if (this.remainingMs() > 0) this.#waitForDeadline();
      else this.#abort(deadlineError(this));
    });
  }

  #abort(reason: HoldfastError): void {
    this.end();
    this.#reason = reason;
    const overs = this.#overs;
    this.#overs = undefined;
    if (overs) for (const run of overs) run();
    this.#controller?.abort(reason);
  }
}

export function deadlineError(call: Call, outcome: "unknown" | "not-applied" = "unknown"): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_DEADLINE",
    outcome === "unknown"
      ? "The deadline passed while the operation was under way. Read its effect back, or retry with the same idempotency key."
      : "The deadline passed before the operation began; nothing was done. Give the call more time.",
    { outcome, data: { callId: call.id, attempt: call.attempt } },
  );
}

/** A Holdfast error given as the reason stays the reason, unless it would claim more than this place knows. */
function callerGaveUp(reason: unknown, outcome: "unknown" | "not-applied" = "unknown"): HoldfastError {
  if (reason instanceof HoldfastError && reason.outcome === outcome) return reason;
  return new HoldfastError(
    "HOLDFAST_ABORTED",
    outcome === "unknown"
      ? "The caller gave up while the operation was under way. Read its effect back before doing it again."
      : "The caller gave up before this operation began; nothing was done.",
    { outcome, cause: reason },
  );
}

function invalid(field: string, expected: string, got: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `${field} of a call should be ${expected}, got ${got}.`,
    {
      data: { field },
    },
  );
}

const calls = new AsyncLocalStorage<Call>();

/** The call that the running code belongs to, if any. */
export function currentCall(): Call | undefined {
  return calls.getStore();
}

/** Runs `run` as part of `call`. */
export function inCall<T>(call: Call, run: () => T): T {
  return calls.run(call, run);
}

/**
 * A call for work that outlives or is shared by its callers (messages, runs, coalesced loads): the trace is
 * linked and session and principal are kept; deadline, signal, attempt, request and idempotency key are not.
 */
export function detach(clock: Clock, from: Call | undefined, fields: CallFields = {}): Call {
  if (!from) return new Call(clock, fields);
  const session = new Session();
  session.merge(from.session);
  return new Call(clock, {
    trace: childSpan(from.trace, clock.random),
    session,
    ...(from.principal ? { principal: from.principal } : {}),
    ...fields,
  });
}

import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { Call, currentCall, detach, inCall } from "./call.ts";
import { HoldfastError } from "./holdfast-error.ts";

test("a call without deadline and caller has no signal, and one whose signal nobody asked for holds no timer", () => {
  const clock = manualClock();
  expect(new Call(clock).signal).toBeUndefined();
  const call = new Call(clock, { timeoutMs: 100 });
  expect(call.remainingMs()).toBe(100);
  expect(clock.pendingTimers).toBe(0);
});

test("the signal aborts at the deadline, with an error that says so", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 100 });
  const { signal } = call;
  expect(call.signal).toBe(signal);
  await clock.advance(99);
  expect(signal?.aborted).toBe(false);
  call.throwIfOver();
  await clock.advance(1);
  expect(signal?.reason).toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "unknown" });
  expect(() => call.throwIfOver()).toThrow(
    expect.objectContaining({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" }),
  );
  expect(clock.pendingTimers).toBe(0);
});

test("the signal aborts when the caller gives up, with its reason as the cause", () => {
  const clock = manualClock();
  const caller = new AbortController();
  const call = new Call(clock, { timeoutMs: 100, signal: caller.signal });
  const { signal } = call;
  caller.abort("bored");
  expect(signal?.reason).toBeInstanceOf(HoldfastError);
  expect(signal?.reason).toMatchObject({ code: "HOLDFAST_ABORTED", cause: "bored" });
  expect(clock.pendingTimers).toBe(0);
  expect(() => call.throwIfOver()).toThrow(
    expect.objectContaining({ code: "HOLDFAST_ABORTED", outcome: "not-applied" }),
  );
});

test("asked for too late, the signal is aborted already", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 5 });
  const gone = new Call(clock, { signal: AbortSignal.abort("before") });
  await clock.advance(5);
  expect(call.signal?.aborted).toBe(true);
  expect(gone.signal?.reason).toMatchObject({ code: "HOLDFAST_ABORTED", cause: "before" });
});

test("a call that has ended holds no timer and no listener, and ends as often as you like", async () => {
  const clock = manualClock();
  const caller = new AbortController();
  let signal: AbortSignal | undefined;
  {
    using call = new Call(clock, { timeoutMs: 100, signal: caller.signal });
    signal = call.signal;
    expect(clock.pendingTimers).toBe(1);
    call.end();
  }
  expect(clock.pendingTimers).toBe(0);
  caller.abort();
  await clock.advance(100);
  expect(signal?.aborted).toBe(false);
});

test("a deadline is never later than the parent's, and the parent's caller can give up for the child too", async () => {
  const clock = manualClock();
  const caller = new AbortController();
  const parent = new Call(clock, { timeoutMs: 100, signal: caller.signal });
  const child = new Call(clock, { timeoutMs: 500 }, parent);
  const sooner = new Call(clock, { timeoutMs: 50 }, parent);
  const grandchild = new Call(clock, {}, child);
  expect([child, sooner, grandchild].map((call) => call.remainingMs())).toEqual([100, 50, 100]);
  const signals = [child.signal, sooner.signal, grandchild.signal];
  parent.end(); // the children's own timers go on
  await clock.advance(50);
  expect(signals.map((signal) => signal?.aborted)).toEqual([false, true, false]);
  caller.abort();
  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true]);
});

test("a child inherits trace, session, principal and request, not the key and not the attempt", () => {
  const clock = manualClock();
  const principal = { id: "ada", roles: [] };
  const parent = new Call(clock, { principal, idempotencyKey: "k", attempt: 3, requestId: "r-1" });
  const child = new Call(clock, {}, parent);
  expect(child.trace).toMatchObject({ traceId: parent.trace.traceId, parentSpanId: parent.trace.spanId });
  expect(child.id).not.toBe(parent.id);
  expect(child.session).toBe(parent.session);
  expect(child).toMatchObject({ principal, requestId: "r-1", attempt: 1, idempotencyKey: undefined });
});

test("an attempt is the same operation: one id and key, a span of its own, within the call's limits", () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 100, idempotencyKey: "k" });
  const [first, second] = [call.forAttempt(1, { timeoutMs: 30 }), call.forAttempt(2)];
  expect([first?.id, second?.id]).toEqual([call.id, call.id]);
  expect([first?.idempotencyKey, second?.idempotencyKey]).toEqual(["k", "k"]);
  expect([first?.attempt, second?.attempt]).toEqual([1, 2]);
  expect([first?.remainingMs(), second?.remainingMs()]).toEqual([30, 100]);
  expect(new Set([call, first, second].map((one) => one?.trace.spanId)).size).toBe(3);
  const below = new Call(clock, {}, second);
  expect(below.id).not.toBe(call.id);
});

test("an extended deadline moves the abort out, never in", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 100 });
  const { signal } = call;
  call.extendTo(50);
  expect(call.remainingMs()).toBe(100);
  call.extendTo(300);
  await clock.advance(299);
  expect(signal?.aborted).toBe(false);
  await clock.advance(1);
  expect(signal?.aborted).toBe(true);
});

test("the current call follows the code that runs in it", async () => {
  const clock = manualClock();
  const call = new Call(clock);
  expect(currentCall()).toBeUndefined();
  await inCall(call, async () => {
    await clock.advance(1);
    expect(currentCall()).toBe(call);
  });
  expect(currentCall()).toBeUndefined();
});

test("detached work keeps trace, principal and what the session has seen, and nothing that ends the caller", () => {
  const clock = manualClock();
  const principal = { id: "ada", roles: [] };
  const caller = new Call(clock, {
    timeoutMs: 10,
    signal: AbortSignal.abort(),
    principal,
    idempotencyKey: "k",
    attempt: 2,
  });
  const seen = { system: "1", timeline: 1, lsn: 5n };
  caller.session.raise("n1", seen);
  const work = detach(clock, caller);
  expect(work.signal).toBeUndefined();
  expect(work).toMatchObject({ principal, idempotencyKey: undefined, attempt: 1 });
  expect(work.trace.traceId).toBe(caller.trace.traceId);
  expect(work.session.get("n1")).toEqual({ read: seen });
  work.session.raise("n1", { ...seen, lsn: 9n });
  expect(caller.session.get("n1")).toEqual({ read: seen });
  expect(detach(clock, undefined).session.size).toBe(0);
});

test("a timeout, an attempt or a key that is none is refused by name", () => {
  const clock = manualClock();
  const refusals: [object, string][] = [
    [{ timeoutMs: Number.NaN }, "timeoutMs"],
    [{ timeoutMs: -1 }, "timeoutMs"],
    [{ attempt: 0 }, "attempt"],
    [{ attempt: 1.5 }, "attempt"],
    [{ idempotencyKey: "" }, "idempotency key"],
    [{ idempotencyKey: "a\r\nb: c" }, "idempotency key"],
    [{ idempotencyKey: "x".repeat(256) }, "idempotency key"],
  ];
  for (const [fields, name] of refusals) expect(() => new Call(clock, fields)).toThrow(name);
});

test("whoever waits for a call to be over is told once, at the deadline or at once when it has passed", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 100 });
  const told: string[] = [];
  call.whenOver(() => told.push("waits"));
  const stop = call.whenOver(() => told.push("stopped waiting"));
  stop();
  await clock.advance(99);
  expect(told).toEqual([]);
  await clock.advance(1);
  expect(told).toEqual(["waits"]);
  expect(call.overReason?.code).toBe("HOLDFAST_DEADLINE");
  call.whenOver(() => told.push("late"));
  expect(told).toEqual(["waits", "late"]);
  // A signal that is asked for only now says the same.
  expect(call.signal?.reason).toBe(call.overReason);

  const giver = new AbortController();
  using given = new Call(clock, { signal: giver.signal });
  given.whenOver(() => told.push("given up"));
  giver.abort();
  expect(told.at(-1)).toBe("given up");
  expect(given.overReason?.code).toBe("HOLDFAST_ABORTED");
  new Call(clock).whenOver(() => told.push("never"))();
  expect(told).not.toContain("never");
});

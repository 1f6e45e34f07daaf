import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { Call } from "./call.ts";
import {
  callFromHeaders,
  callFromOutside,
  callHeaders,
  headerCounter,
  headersFromCall,
  isInternalHeader,
} from "./headers.ts";

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

function read(headers: Record<string, string>) {
  const counter = headerCounter();
  const fields = callFromHeaders((name) => headers[name], manualClock(), counter);
  return { fields, counts: counter.counts };
}

test("what a call carries arrives, and what is left of its time with it", async () => {
  const clock = manualClock();
  const call = new Call(clock, {
    timeoutMs: 1500.7,
    idempotencyKey: "order-7",
    attempt: 2,
    principal: { id: "Ada Łovelace", roles: ["admin", "ops"] },
    requestId: "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    trace: {
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      flags: 1,
      state: "congo=t61rcWkgMzE",
      baggage: "tenant=7",
    },
  });
  call.session.raise("n1", { system: "7380000000000000001", timeline: 3, lsn: 0x1_0000_0001n });
  await clock.advance(500);
  const headers = headersFromCall(call);
  expect(headers).toMatchObject({
    traceparent: trace,
    tracestate: "congo=t61rcWkgMzE",
    baggage: "tenant=7",
    "idempotency-key": "order-7",
    "holdfast-deadline": "1000",
    "holdfast-attempt": "2",
    "holdfast-request-id": "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
  });
  const { fields, counts } = read(headers);
  expect(counts).toEqual({});
  expect(fields).toMatchObject({
    timeoutMs: 1000,
    attempt: 2,
    idempotencyKey: "order-7",
    principal: call.principal,
    requestId: call.requestId,
    trace: {
      traceId: call.trace.traceId,
      parentSpanId: call.trace.spanId,
      state: "congo=t61rcWkgMzE",
      baggage: "tenant=7",
    },
  });
  expect([...(fields.session?.entries() ?? [])]).toEqual([...call.session.entries()]);
});

test("a call that carries nothing sends its trace only", () => {
  expect(Object.keys(headersFromCall(new Call(manualClock())))).toEqual(["traceparent"]);
});

test("receivers of one call are calls of their own: two of them differ", () => {
  const clock = manualClock();
  const headers = headersFromCall(new Call(clock));
  const [one, two] = [1, 2].map(
    () =>
      new Call(
        clock,
        callFromHeaders((name) => headers[name], clock),
      ),
  );
  expect(one?.id).not.toBe(two?.id);
  expect(one?.trace.traceId).toBe(two?.trace.traceId);
});

test("a deadline that has passed travels as 0, and one beyond a day as a day", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 10 });
  await clock.advance(20);
  expect(headersFromCall(call)["holdfast-deadline"]).toBe("0");
  expect(headersFromCall(new Call(clock, { timeoutMs: 10 ** 12 }))["holdfast-deadline"]).toBe("86400000");
});

test.each([
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"], // no flags
  ["traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
  ["traceparent", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"],
  ["traceparent", `${trace}-more`], // version 00 has four fields
  ["traceparent", `${trace},${trace}`],
  ["traceparent", `01${trace.slice(2)}more`], // a higher version goes on after a hyphen
  ["traceparent", ""],
  ["baggage", "x".repeat(8193)],
  ["baggage", "a=\u0000"],
  ["holdfast-deadline", "-1"],
  ["holdfast-deadline", "1.5"],
  ["holdfast-deadline", "1e3"],
  ["holdfast-deadline", "007"],
  ["holdfast-deadline", " 5"],
  ["holdfast-deadline", "86400001"],
  ["holdfast-deadline", "Infinity"],
  ["holdfast-attempt", "0"],
  ["holdfast-attempt", "101"],
  ["holdfast-attempt", "two"],
  ["idempotency-key", ""],
  ["idempotency-key", "two words"],
  ["idempotency-key", "x".repeat(256)],
  ["idempotency-key", '"unclosed'],
  ["idempotency-key", '"bad \\escape"'],
  ["idempotency-key", '""'],
  ["idempotency-key", "naïve"],
  ["holdfast-session", "not base64!"],
  ["holdfast-session", "AA"], // unknown format
  ["holdfast-session", "AQVhYg"], // a node's name that is cut off
  ["holdfast-session", "A".repeat(8193)],
  ["holdfast-principal", "e30"], // {}
  ["holdfast-principal", "W10"], // []
  ["holdfast-principal", "WzFd"], // [1]
  ["holdfast-principal", "bm90IGpzb24"],
  ["holdfast-request-id", "x".repeat(65)],
])("a malformed %s is ignored and counted: %s", (name, value) => {
  const { fields, counts } = read({ [name]: value });
  expect(counts).toEqual({ [name]: 1 });
  expect(Object.keys(fields)).toEqual(["trace"]);
  expect(fields.trace?.baggage).toBeUndefined();
});

test.each([
  "x".repeat(513),
  "no-equals-sign",
  "UPPER=1",
  Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(","),
])("a malformed tracestate is dropped and the traceparent kept: %s", (tracestate) => {
  const { fields, counts } = read({ traceparent: trace, tracestate });
  expect(counts).toEqual({ tracestate: 1 });
  expect(fields.trace).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", state: undefined });
});

test("a tracestate without a good traceparent counts for nothing", () => {
  expect(read({ tracestate: "a=1" }).fields.trace?.state).toBeUndefined();
  expect(read({ traceparent: "bad", tracestate: "a=1" }).fields.trace?.state).toBeUndefined();
});

test("a traceparent of a higher version is read by its first four fields; unknown flags are dropped", () => {
  for (const text of [`cc${trace.slice(2)}`, `cc${trace.slice(2)}-what-comes-next`]) {
    const { fields, counts } = read({ traceparent: text });
    expect(counts).toEqual({});
    expect(fields.trace).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", flags: 1 });
  }
  expect(read({ traceparent: `${trace.slice(0, -2)}ff` }).fields.trace?.flags).toBe(3);
});

test("an idempotency key is the same bare and quoted, and every key that a call may have comes back", () => {
  expect(read({ "idempotency-key": '"8e03978e-40d5"' }).fields.idempotencyKey).toBe("8e03978e-40d5");
  expect(read({ "idempotency-key": '"a\\"b\\\\c"' }).fields.idempotencyKey).toBe('a"b\\c');
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit: visible, minLength: 1, maxLength: 255 }), (idempotencyKey) => {
      const headers = headersFromCall(new Call(manualClock(), { idempotencyKey }));
      expect(read(headers).fields.idempotencyKey).toBe(idempotencyKey);
    }),
  );
});

test("a session that has seen more nodes than a header carries is refused, not cut short", () => {
  const call = new Call(manualClock());
  for (let i = 0; i < 500; i++) call.session.raise(`node-${i}`, { system: "1", timeline: 1, lsn: 1n });
  expect(() => headersFromCall(call)).toThrow(expect.objectContaining({ code: "HOLDFAST_INPUT_INVALID" }));
});

test("reading never throws, whatever the headers say", () => {
  const name = fc.constantFrom(...Object.values(callHeaders));
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: "binary", maxLength: 80 })), (headers) => {
      new Call(manualClock(), read(headers as Record<string, string>).fields);
    }),
    { numRuns: 1000 },
  );
});

test("a stranger is believed the trace and the idempotency key, and nothing else", () => {
  const clock = manualClock();
  const insider = new Call(clock, {
    timeoutMs: 50,
    attempt: 3,
    principal: { id: "root", roles: [] },
    requestId: "r",
  });
  insider.session.raise("n", { system: "1", timeline: 1, lsn: 1n });
  const headers: Record<string, string> = {
    ...headersFromCall(insider),
    traceparent: trace,
    tracestate: "a=1",
    baggage: "role=admin",
    "idempotency-key": "k",
  };
  const fields = callFromOutside((name) => headers[name], clock);
  expect(Object.keys(fields).sort()).toEqual(["idempotencyKey", "trace"]);
  expect(fields.trace).toMatchObject({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    state: "a=1",
    baggage: undefined,
  });
  const counter = headerCounter();
  expect(
    callFromOutside((n) => (n === "idempotency-key" ? "two words" : null), clock, counter),
  ).not.toHaveProperty("idempotencyKey");
  expect(counter.counts).toEqual({ "idempotency-key": 1 });
});

test("internal headers are known by their prefix, in any case", () => {
  expect(["Holdfast-Deadline", "holdfast-x", "idempotency-key", "x-holdfast"].map(isInternalHeader)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

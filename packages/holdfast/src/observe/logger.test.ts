import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { Call, HoldfastError, inCall } from "../call/index.ts";
import { manualClock } from "../clock/index.ts";
import { lineBytesMax, parseLogLine } from "./log-line.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";
import { streamSink } from "./stream-sink.ts";

function fixture(options: Partial<LoggerOptions> = {}) {
  const clock = manualClock();
  const lines: string[] = [];
  const logger = createLogger({ clock, sink: (line) => lines.push(line), ...options });
  return { clock, logger, lines, last: () => JSON.parse(lines.at(-1) ?? "null") };
}

test("a line says when, how grave, what, where, and for which request", () => {
  const { clock, logger, last } = fixture({ fields: { instance: "api-1" } });
  const call = new Call(clock);
  inCall(call, () => logger.child({ part: "links" }).info("created", { shard: 3 }));
  expect(last()).toEqual({
    time: "2025-06-15T15:06:40.000Z",
    level: "info",
    msg: "created",
    instance: "api-1",
    part: "links",
    shard: 3,
    traceId: call.trace.traceId,
    spanId: call.trace.spanId,
  });
});

test("lines below the level are not written", () => {
  const { logger, lines } = fixture({ level: "warn" });
  logger.debug("a");
  logger.info("b");
  logger.warn("c");
  logger.error("d");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["c", "d"]);
  expect([logger.writes("info"), logger.writes("error")]).toEqual([false, true]);
});

test("an error is written with code, outcome, data, stack and causes", () => {
  const { logger, last } = fixture();
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const error = new HoldfastError("HOLDFAST_UNAVAILABLE", "It is away.\nWait.", {
    cause,
    data: { node: "n1" },
  });
  logger.error("no luck", { error });
  expect(last().error).toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
    message: "It is away.\nWait.",
    data: { node: "n1" },
    cause: { code: "ECONNREFUSED", message: "connect ECONNREFUSED" },
  });
  expect(last().error.stack).toMatch(/^ {4}at /);
  logger.error("thrown", { error: { odd: 1 } });
  expect(last().error).toEqual({ message: '{"odd":1}' });
});

test.each([
  ["a field's name", { password: "hunter2", nested: { Authorization: "hunter2", "x-api-key": "hunter2" } }],
  ["a cookie header", { headers: { cookie: "sid=hunter2", "set-cookie": ["sid=hunter2"] } }],
  ["a map", { settings: new Map([["secret", "hunter2"]]) }],
  ["a URL", { url: "postgres://holdfast:hunter2@127.0.0.1:5432/links" }],
  ["a URL object", { url: new URL("https://user:hunter2@example.com/") }],
  ["a query", { path: "/callback?code=1&access_token=hunter2&x=1" }],
  ["a header's value", { line: "Authorization: Bearer hunter2hunter2" }],
  ["an error's message", { error: new Error("cannot reach postgres://a:hunter2@host/db") }],
  [
    "an error's data",
    { error: new HoldfastError("HOLDFAST_UNAVAILABLE", "x", { data: { token: "hunter2" } }) },
  ],
])("a secret never reaches the log: %s", (_, fields) => {
  const { logger, lines } = fixture();
  logger.info("look", fields);
  expect(lines[0]).toBeDefined();
  expect(lines[0]).not.toContain("hunter2");
  expect(lines[0]).toContain("[redacted]");
});

test("a secret in the message itself is taken out", () => {
  const { logger, last } = fixture();
  logger.info("connecting to postgres://a:hunter2@host/db");
  expect(last().msg).toBe("connecting to postgres://a:[redacted]@host/db");
});

test("values that are no JSON are written as something readable", () => {
  const { logger, last } = fixture();
  const circle: Record<string, unknown> = { name: "c" };
  circle.self = circle;
  logger.info("odd", {
    circle,
    big: 2n ** 64n,
    nan: Number.NaN,
    run: () => 1,
    bytes: new Uint8Array(7),
    set: new Set([1]),
    at: new Date(0),
    never: new Date(Number.NaN),
  });
  expect(last()).toMatchObject({
    circle: { name: "c", self: "[circular]" },
    big: "18446744073709551616",
    nan: "NaN",
    run: "[function]",
    bytes: "[7 bytes]",
    set: [1],
    at: "1970-01-01T00:00:00.000Z",
    never: "[invalid date]",
  });
});

test("one object twice on a line is no circle", () => {
  const { logger, last } = fixture();
  const shared = { a: 1 };
  logger.info("twice", { first: shared, second: shared });
  expect(last()).toMatchObject({ first: { a: 1 }, second: { a: 1 } });
});

test("a line never grows beyond its bound, and stays one line of JSON", () => {
  const { logger, lines, last } = fixture();
  logger.info("x".repeat(100_000));
  logger.info("wide", Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`k${i}`, "é".repeat(4000)])));
  logger.info("long", { list: Array.from({ length: 1_000 }, (_, i) => i) });
  let deep: Record<string, unknown> = {};
  for (let i = 0; i < 50; i++) deep = { deep };
  logger.info("deep", deep);
  for (const line of lines) {
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(lineBytesMax);
    expect(line).not.toContain("\n");
    expect(parseLogLine(line)).toBeDefined();
  }
  expect(lines).toHaveLength(4);
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({ msg: "wide", cutFromBytes: expect.any(Number) });
  expect(JSON.parse(lines[2] ?? "").list).toHaveLength(101);
  expect(JSON.stringify(last())).toContain("[deeper]");
});

test("logging never throws, whatever it is given", () => {
  const { logger } = fixture({
    sink: () => {
      throw new Error("disk full");
    },
  });
  logger.info("a");
  const trap = {
    get secretly(): string {
      throw new Error("gotcha");
    },
  };
  fixture().logger.info("b", { trap });
});

test("a reader that is too slow costs lines, counted, not memory", async () => {
  const clock = manualClock();
  const taken: string[] = [];
  let release: (() => void) | undefined;
  const slow = new Writable({
    write(chunk, _, done) {
      taken.push(String(chunk));
      release = done;
    },
  });
  const logger = createLogger({ clock, sink: streamSink(slow, clock) });
  for (let i = 0; i < 2_000; i++) logger.info("x".repeat(1_000));
  expect(slow.writableLength).toBeLessThan(2 << 20);
  while (slow.writableLength > 0) {
    release?.();
    await clock.advance(0);
  }
  logger.info("after");
  const say = () => taken.some((line) => /"msg":"\d+ log lines were dropped/.test(line));
  release?.();
  await clock.advance(0);
  expect(say()).toBe(true);
});

test("a reader that is gone does not end the process", async () => {
  const clock = manualClock();
  const gone = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })),
  });
  const logger = createLogger({ clock, sink: streamSink(gone, clock) });
  logger.info("a");
  await clock.advance(0);
  logger.info("b");
  await clock.advance(0);
  expect(gone.destroyed).toBe(true);
});

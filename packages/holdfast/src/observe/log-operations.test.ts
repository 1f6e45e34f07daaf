import { expect, test } from "vitest";
import { Call, HoldfastError, Seam } from "../call/index.ts";
import { manualClock } from "../clock/index.ts";
import { logOperations } from "./log-operations.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

function fixture(level: LoggerOptions["level"] = "info") {
  const clock = manualClock();
  const seam = new Seam(clock);
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ clock, level, sink: (line) => lines.push(JSON.parse(line)) });
  const stop = logOperations(seam, logger, { slowMs: 500 });
  const call = new Call(clock);
  const write = (run: (undone: () => void) => Promise<unknown>) =>
    seam.operation("database", "links", "write", call, run, { shard: 3 }).catch(() => {});
  /** So many at once, each slow. */
  const writeSlowly = async (count: number) => {
    const gate = Promise.withResolvers<void>();
    const under = Array.from({ length: count }, () => write(() => gate.promise));
    await clock.advance(500);
    gate.resolve();
    await Promise.all(under);
  };
  return { clock, lines, call, write, writeSlowly, stop };
}

const fail = (error: unknown) => () => Promise.reject(error);
const away = () => new HoldfastError("HOLDFAST_UNAVAILABLE", "It is away. Wait.");

test("a failure is a warning with its part, outcome, time, trace and error", async () => {
  const { lines, call, write } = fixture();
  await write(fail(new Error("odd")));
  expect(lines).toMatchObject([
    {
      level: "warn",
      msg: "database write failed",
      part: "links",
      outcome: "unknown",
      shard: 3,
      traceId: call.trace.traceId,
      error: { message: "odd" },
    },
  ]);
});

test("a slow operation is a warning, a quick one is silent", async () => {
  const { clock, lines, write } = fixture();
  await write(async () => {});
  await write(() => clock.advance(500));
  expect(lines).toMatchObject([{ level: "warn", msg: "database write was slow", durationMs: 500 }]);
});

test("on debug every operation is written, and what a caller got wrong too", async () => {
  const quiet = fixture();
  const loud = fixture("debug");
  for (const { write } of [quiet, loud]) {
    await write(async () => {});
    await write(fail(new HoldfastError("HOLDFAST_INPUT_INVALID", "No.")));
  }
  expect(quiet.lines).toEqual([]);
  expect(loud.lines.map(({ msg }) => msg)).toEqual(["database write", "database write refused"]);
});

test("what a caller threw to undo its own operation is written on debug only", async () => {
  const quiet = fixture();
  const loud = fixture("debug");
  for (const { write } of [quiet, loud]) {
    await write((undone) => {
      undone();
      return Promise.reject(new Error("wrong edit key"));
    });
  }
  expect(quiet.lines).toEqual([]);
  expect(loud.lines).toMatchObject([
    { level: "debug", msg: "database write undone by its caller", outcome: "not-applied" },
  ]);
});

test("failures that are alike are written five times in ten seconds, then counted", async () => {
  const { clock, lines, write, stop } = fixture();
  for (let i = 0; i < 1_000; i++) await write(fail(away()));
  await write(fail(new Error("another kind")));
  expect(lines).toHaveLength(6);
  await clock.advance(10_000);
  await write(fail(away()));
  expect(lines.at(-2)).toMatchObject({
    msg: "995 more like this in 10 s: database links write: HOLDFAST_UNAVAILABLE",
  });
  for (let i = 0; i < 9; i++) await write(fail(away()));
  stop();
  expect(lines.at(-1)?.msg).toMatch(/^5 more like this/);
});

test("slow operations that are alike are counted like failures, and apart from them", async () => {
  const { clock, lines, writeSlowly, write, stop } = fixture();
  await writeSlowly(1_000);
  await write(fail(away()));
  expect(lines.map(({ msg }) => msg)).toEqual([
    ...Array.from({ length: 5 }, () => "database write was slow"),
    "database write failed",
  ]);
  await clock.advance(10_000);
  stop();
  expect(lines.at(-1)?.msg).toBe("995 more like this in 10 s: database links write: was slow");
});

test("after stopping nothing is written", async () => {
  const { lines, write, stop } = fixture();
  stop();
  await write(fail(away()));
  expect(lines).toEqual([]);
});

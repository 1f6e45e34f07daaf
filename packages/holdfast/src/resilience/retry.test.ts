import { expect, test } from "vitest";
import {
  Call,
  currentCall,
  escapedError,
  HoldfastError,
  inCall,
  mayRetryAfter,
  readFailedAnswer,
  refusalHeaders,
} from "../call/index.ts";
import { manualClock } from "../clock/index.ts";
import { retryBudget } from "./budget.ts";
import { type RetryOptions, retry } from "./retry.ts";

const refused = () => new HoldfastError("HOLDFAST_OVERLOADED", "full");
const lost = () => new HoldfastError("HOLDFAST_CONNECTION_LOST", "lost");

/** Runs `retry` to its end on a clock that moves by itself. */
async function settle<T>(
  run: (attempt: Call, clock: ReturnType<typeof manualClock>) => Promise<T>,
  options: Omit<RetryOptions, "clock"> = {},
  clock = manualClock(),
) {
  let result: { value: T } | { error: unknown } | undefined;
  retry((attempt) => run(attempt, clock), { clock, ...options }).then(
    (value) => {
      result = { value };
    },
    (error) => {
      result = { error };
    },
  );
  for (let i = 0; i < 100 && !result; i++) await clock.advance(1000);
  if (!result) throw new Error("retry did not end within 100 s");
  return { result, clock };
}

async function errorOf(...args: Parameters<typeof settle>): Promise<HoldfastError> {
  const { result, clock } = await settle(...args);
  expect(result).toHaveProperty("error");
  expect(clock.pendingTimers).toBe(0);
  return (result as { error: HoldfastError }).error;
}

test("what was not applied is tried again, under one id, with attempts counted", async () => {
  const clock = manualClock();
  const call = new Call(clock, { idempotencyKey: "k-1", principal: { id: "ada", roles: [] } });
  const seen: Call[] = [];
  const { result } = await settle(
    async (attempt) => {
      expect(currentCall()).toBe(attempt);
      seen.push(attempt);
      if (seen.length < 3) throw refused();
      return "done";
    },
    { call },
    clock,
  );
  expect(result).toEqual({ value: "done" });
  expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  expect(new Set(seen.map(({ id }) => id))).toEqual(new Set([call.id]));
  expect(new Set(seen.map(({ idempotencyKey }) => idempotencyKey))).toEqual(new Set(["k-1"]));
  expect(new Set(seen.map(({ trace }) => trace.spanId)).size).toBe(3);
  expect(clock.pendingTimers).toBe(0);
});

test("what may have been applied is tried again only when it is idempotent", async () => {
  let runs = 0;
  const fail = async () => {
    runs++;
    throw lost();
  };
  expect(await errorOf(fail)).toMatchObject({ code: "HOLDFAST_CONNECTION_LOST", outcome: "unknown" });
  expect(runs).toBe(1);
  for (const idempotent of ["nature", "key", "fencing-token"] as const) {
    runs = 0;
    expect(await errorOf(fail, { idempotent })).toMatchObject({ code: "HOLDFAST_RETRIES_EXHAUSTED" });
    expect(runs).toBe(3);
  }
});

test("an error that is no HoldfastError may have applied something", async () => {
  let runs = 0;
  const error = await errorOf(async () => {
    runs++;
    throw new TypeError("oops");
  });
  expect(error).toBeInstanceOf(TypeError);
  expect(runs).toBe(1);
});

test("what would fail the same way is never tried again", async () => {
  let runs = 0;
  const error = await errorOf(
    async () => {
      runs++;
      throw new HoldfastError("HOLDFAST_INPUT_INVALID", "bad");
    },
    { idempotent: "nature" },
  );
  expect(error.code).toBe("HOLDFAST_INPUT_INVALID");
  expect(runs).toBe(1);
});

test("one attempt that may have been applied makes the whole unknown, whatever the last one says", async () => {
  let runs = 0;
  const error = await errorOf(
    async () => {
      throw ++runs === 1 ? lost() : new HoldfastError("HOLDFAST_INPUT_INVALID", "bad");
    },
    { idempotent: "nature" },
  );
  expect(error).toMatchObject({ code: "HOLDFAST_INPUT_INVALID", outcome: "unknown", permanent: true });
});

test("giving up is permanent, keeps the last error, and says what ran out", async () => {
  const clock = manualClock();
  const budget = retryBudget(clock, { savedMax: 1, perSecond: 0 });
  const fail = async () => {
    throw refused();
  };
  const first = await errorOf(fail, { budget }, clock);
  expect(first).toMatchObject({
    permanent: true,
    outcome: "not-applied",
    data: { why: "budget", attempts: 2 },
  });
  expect(first.cause).toMatchObject({ code: "HOLDFAST_OVERLOADED" });
  expect(mayRetryAfter(first, "nature")).toBe(false);
  expect(await errorOf(fail, { budget }, clock)).toMatchObject({ data: { why: "budget", attempts: 1 } });
  expect(await errorOf(fail, { attemptsMax: 2 })).toMatchObject({ data: { why: "attempts", attempts: 2 } });
});

test("a success pays for a fifth of an extra attempt", async () => {
  const clock = manualClock();
  const budget = retryBudget(clock, { savedMax: 1, perSecond: 0 });
  budget.takeExtraAttempt();
  for (let i = 0; i < 5; i++) await settle(async () => "ok", { budget }, clock);
  expect(budget.takeExtraAttempt()).toBe(true);
});

test("a caller that gives up during the wait ends it at once, and the operation never runs again", async () => {
  const clock = manualClock();
  const giveUp = new AbortController();
  const call = new Call(clock, { signal: giveUp.signal });
  let runs = 0;
  const ended = retry(
    async () => {
      runs++;
      throw new HoldfastError("HOLDFAST_OVERLOADED", "full", { data: { retryAfterMs: 200 } });
    },
    { clock, call },
  ).catch((error: HoldfastError) => error);
  await clock.advance(20);
  giveUp.abort();
  expect(await ended).toMatchObject({ code: "HOLDFAST_ABORTED", outcome: "not-applied" });
  await clock.advance(1000);
  expect(runs).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});

test("a wait that would outlast the deadline is not begun", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 150 });
  const error = await errorOf(
    async () => {
      throw new HoldfastError("HOLDFAST_OVERLOADED", "full", { data: { retryAfterMs: 200 } });
    },
    { call },
    clock,
  );
  expect(error).toMatchObject({ code: "HOLDFAST_RETRIES_EXHAUSTED", data: { why: "deadline", attempts: 1 } });
});

test("the callee is left alone for as long as it asked", async () => {
  const clock = manualClock();
  const startedMs: number[] = [];
  await settle(
    async () => {
      startedMs.push(clock.monotonicMs());
      if (startedMs.length === 1)
        throw new HoldfastError("HOLDFAST_OVERLOADED", "full", { data: { retryAfterMs: 5000 } });
    },
    {},
    clock,
  );
  expect(startedMs).toEqual([0, 5000]);
});

test("a call that is over is not even tried", async () => {
  const clock = manualClock();
  const call = new Call(clock, { timeoutMs: 0 });
  let runs = 0;
  const error = await errorOf(async () => runs++, { call }, clock);
  expect(error).toMatchObject({ code: "HOLDFAST_DEADLINE", outcome: "not-applied" });
  expect(runs).toBe(0);
});

test("an attempt that takes too long is told to stop and counts as unknown", async () => {
  const stopped: unknown[] = [];
  const { result, clock } = await settle(
    (attempt) =>
      new Promise<string>((resolve) => {
        if (attempt.attempt === 2) return resolve("second");
        attempt.signal?.addEventListener("abort", () => stopped.push(attempt.signal?.reason));
      }),
    { attemptTimeoutMs: 100, idempotent: "nature" },
  );
  expect(result).toEqual({ value: "second" });
  expect(stopped).toMatchObject([{ code: "HOLDFAST_ATTEMPT_TIMEOUT", outcome: "unknown" }]);
  expect(clock.pendingTimers).toBe(0);
});

test("a part that sees the attempt's deadline pass by itself ends the attempt, not the call", async () => {
  const clock = manualClock();
  const late = { ...clock, timer: (ms: number, run: () => void) => clock.timer(ms + 1, run) };
  const attempts: number[] = [];
  const ended = retry(
    async (attempt) => {
      attempts.push(attempt.attempt);
      if (attempt.attempt > 1) return "second";
      await clock.sleep(100);
      attempt.throwIfOver(); // not applied: tried again without a key
      return "first";
    },
    { clock: late, attemptTimeoutMs: 100 },
  );
  await clock.advance(5000);
  expect(await ended).toBe("second");
  expect(attempts).toEqual([1, 2]);
});

test("A applies something through X, then Y refuses A: A is not tried again without a key", async () => {
  for (const [key, expectedRuns] of [
    [undefined, 1],
    ["order-7", 3],
  ] as const) {
    const clock = manualClock();
    let appliedByX = 0;
    // The three services, with the wire between them as headers and errors.
    const x = async () => {
      appliedByX++;
    };
    const y = async () => {
      const { outcome, permanent } = readFailedAnswer((name) => refusalHeaders(refused())[name]);
      throw new HoldfastError("HOLDFAST_UNAVAILABLE", "Y refused", { outcome, permanent });
    };
    const a = async () => {
      await x();
      await y();
    };
    const callA = async () => {
      try {
        await a();
      } catch (error) {
        expect(error).toMatchObject({ outcome: "not-applied" }); // true of Y, for the one hop from Y to A
        throw escapedError(error);
      }
    };
    const call = new Call(clock, key === undefined ? {} : { idempotencyKey: key });
    const error = await errorOf(callA, { call }, clock);
    expect(error.outcome).toBe("unknown");
    expect(appliedByX).toBe(expectedRuns);
  }
});

test("the current call is the one that is worked for", async () => {
  const clock = manualClock();
  const call = new Call(clock);
  const id = await inCall(call, () => retry(async (attempt) => attempt.id, { clock }));
  expect(id).toBe(call.id);
});

test("no attempts is no option", async () => {
  await expect(retry(async () => 1, { clock: manualClock(), attemptsMax: 0 })).rejects.toThrow(RangeError);
});

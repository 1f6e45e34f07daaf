import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "./manual-clock.ts";

test("timers fire in order of their time, then of their making, each at its own instant", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 }), async (delays) => {
      const clock = manualClock();
      const fired: { index: number; atMs: number }[] = [];
      delays.forEach((ms, index) => {
        clock.timer(ms, () => fired.push({ index, atMs: clock.monotonicMs() }));
      });
      await clock.advance(20);
      await clock.advance(30);
      const expected = delays.map((atMs, index) => ({ index, atMs })).sort((a, b) => a.atMs - b.atMs);
      expect(fired).toEqual(expected);
      expect([clock.monotonicMs(), clock.pendingTimers]).toEqual([50, 0]);
    }),
    { numRuns: 30 },
  );
});

test("code that awaits a sleep sees the time it was woken at, and may sleep again", async () => {
  const clock = manualClock();
  const wokenAtMs: number[] = [];
  const sleeper = (async () => {
    for (let i = 0; i < 3; i++) {
      await clock.sleep(10);
      wokenAtMs.push(clock.monotonicMs());
    }
  })();
  await clock.advance(100);
  await sleeper;
  expect(wokenAtMs).toEqual([10, 20, 30]);
});

test("a sleep that is aborted rejects with the reason and holds no timer", async () => {
  const clock = manualClock();
  const stop = new AbortController();
  const slept = clock.sleep(10, stop.signal).catch((reason) => reason);
  expect(clock.pendingTimers).toBe(1);
  stop.abort("enough");
  expect(await slept).toBe("enough");
  expect(clock.pendingTimers).toBe(0);
  await expect(clock.sleep(10, AbortSignal.abort("before"))).rejects.toBe("before");
  expect(clock.pendingTimers).toBe(0);
});

test("a sleep that is over listens to its signal no more", async () => {
  const clock = manualClock();
  const signal = new AbortController().signal;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const slept = clock.sleep(10, signal);
  expect(listeners).toBe(1);
  await clock.advance(10);
  await slept;
  expect(listeners).toBe(0);
});

test("cancelled timers do not fire; infinite ones never do, and are not counted", async () => {
  const clock = manualClock();
  let fired = 0;
  const timer = clock.timer(5, () => fired++);
  clock.timer(Number.POSITIVE_INFINITY, () => fired++);
  expect(clock.pendingTimers).toBe(1);
  timer.cancel();
  timer.cancel();
  await clock.advance(1e15);
  expect([fired, clock.pendingTimers]).toEqual([0, 0]);
});

test("moves that overlap happen one after the other, and time never goes back", async () => {
  const clock = manualClock();
  const seenMs: number[] = [];
  for (const ms of [1, 4, 9, 14]) clock.timer(ms, () => seenMs.push(clock.monotonicMs()));
  await Promise.all([clock.advance(10), clock.advance(5)]);
  expect(seenMs).toEqual([1, 4, 9, 14]);
  expect(clock.monotonicMs()).toBe(15);
});

test("the wall clock moves with time and jumps on its own, without any timer noticing", async () => {
  const clock = manualClock({ wallMs: 1000 });
  let fired = 0;
  clock.timer(10, () => fired++);
  clock.jumpWall(-500);
  expect(clock.wallMs()).toBe(500);
  clock.jumpWall(10_000);
  await clock.advance(9);
  expect([clock.wallMs(), clock.monotonicMs(), fired]).toEqual([10_509, 9, 0]);
});

test("a callback that throws fails the move that ran it, and the next move goes on", async () => {
  const clock = manualClock();
  clock.timer(1, () => {
    throw new Error("callback");
  });
  let fired = 0;
  clock.timer(2, () => fired++);
  await expect(clock.advance(5)).rejects.toThrow("callback");
  await clock.advance(5);
  expect(fired).toBe(1);
});

test("time moves by 0 ms or more, and not for ever", () => {
  const clock = manualClock();
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => clock.advance(ms)).toThrow(RangeError);
});

import { expect, test } from "vitest";
import { type HostTimers, longTimer, timerHopMsMax } from "./long-timer.ts";

/** A host like Node: one delay above 2^31-1 would fire at once, so it is an error here. */
function fakeHost() {
  const delays: number[] = [];
  const refs: boolean[] = [];
  let pending: (() => void) | undefined;
  const host: HostTimers = {
    set(run, ms, ref) {
      if (!(Number.isInteger(ms) && ms <= timerHopMsMax))
        throw new Error(`the host cannot wait for ${ms} ms`);
      delays.push(ms);
      refs.push(ref);
      pending = run;
      return run;
    },
    clear(handle) {
      if (handle === pending) pending = undefined;
    },
  };
  const fire = () => {
    const run = pending;
    pending = undefined;
    run?.();
  };
  return { host, fire, delays, refs, isPending: () => pending !== undefined };
}

test("a delay of 60 days is waited for in hops that the host can wait for", () => {
  const sixtyDaysMs = 60 * 86_400_000;
  const { host, fire, delays, isPending } = fakeHost();
  let fired = 0;
  longTimer(host, sixtyDaysMs, () => fired++);
  for (let hops = 0; isPending(); hops++) {
    expect(fired).toBe(0);
    expect(hops).toBeLessThan(3);
    fire();
  }
  expect(fired).toBe(1);
  expect(delays).toEqual([timerHopMsMax, timerHopMsMax, sixtyDaysMs - 2 * timerHopMsMax]);
});

test("the longest delay that fits takes one hop, and one millisecond more takes two", () => {
  const fits = fakeHost();
  longTimer(fits.host, timerHopMsMax, () => {});
  expect(fits.delays).toEqual([timerHopMsMax]);
  fits.fire();
  expect(fits.isPending()).toBe(false);
  const more = fakeHost();
  longTimer(more.host, timerHopMsMax + 1, () => {});
  more.fire();
  expect(more.delays).toEqual([timerHopMsMax, 1]);
});

test("cancelled between two hops it never fires, and cancelling again does nothing", () => {
  const { host, fire, isPending } = fakeHost();
  let fired = 0;
  const timer = longTimer(host, 3 * timerHopMsMax, () => fired++);
  fire();
  timer.cancel();
  timer.cancel();
  expect(isPending()).toBe(false);
  fire();
  expect(fired).toBe(0);
});

test("a fraction of a millisecond is waited for in full", () => {
  const { host, delays } = fakeHost();
  longTimer(host, 10.2, () => {});
  expect(delays).toEqual([11]);
});

test("an infinite delay needs no timer; a delay that is none is refused", () => {
  const { host, delays } = fakeHost();
  longTimer(host, Number.POSITIVE_INFINITY, () => {}).cancel();
  expect(delays).toEqual([]);
  for (const ms of [-1, Number.NaN]) expect(() => longTimer(host, ms, () => {})).toThrow(RangeError);
});

test("a timer does not keep the process alive unless it is asked to", () => {
  const { host, refs, fire } = fakeHost();
  longTimer(host, 2 * timerHopMsMax, () => {}, { ref: true });
  fire();
  longTimer(host, 1, () => {});
  expect(refs).toEqual([true, true, false]);
});

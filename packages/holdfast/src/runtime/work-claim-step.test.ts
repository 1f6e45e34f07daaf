import fc from "fast-check";
import { expect, test } from "vitest";
import { claimStep, paceStep } from "./work-claim-step.ts";

const bounds = { prefetchMs: 100, prefetchMax: 1_000 };
const count = (max: number) => fc.integer({ min: 0, max });
const need = fc.record({
  concurrency: fc.integer({ min: 1, max: 500 }),
  running: count(500),
  ahead: count(1_500),
  untold: count(3_000),
  perMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
});

test("a worker of slow jobs claims what it has places for", () => {
  const idle = { concurrency: 10, running: 0, ahead: 0, untold: 0, perMs: 0 };
  expect(claimStep(idle, bounds)).toBe(10);
  expect(claimStep({ ...idle, running: 10 }, bounds)).toBe(0);
  expect(claimStep({ ...idle, running: 4, ahead: 2 }, bounds)).toBe(4);
});

test("a worker of quick jobs holds a tenth of a second's work ahead", () => {
  const quick = { concurrency: 10, running: 10, ahead: 0, untold: 0, perMs: 5 };
  expect(claimStep(quick, bounds)).toBe(500);
  expect(claimStep({ ...quick, ahead: 300 }, bounds)).toBe(0);
  expect(claimStep({ ...quick, ahead: 250 }, bounds)).toBe(250);
  expect(claimStep({ ...quick, perMs: 1_000 }, bounds)).toBe(1_000);
});

test("it never holds more than its places and what it may have ahead, and nothing new while the store lags", () => {
  fc.assert(
    fc.property(need, (given) => {
      const claimed = claimStep(given, bounds);
      expect(claimed).toBeGreaterThanOrEqual(0);
      const free = Math.max(0, given.concurrency - given.running);
      if (claimed > 0) expect(given.ahead + claimed).toBeLessThanOrEqual(free + bounds.prefetchMax);
      if (given.untold >= 2 * Math.max(1_000, given.concurrency)) expect(claimed).toBe(0);
      else if (given.ahead < free) expect(claimed).toBeGreaterThanOrEqual(free - given.ahead);
    }),
  );
});

test("the pace follows what ends, and forgets what was", () => {
  expect(paceStep(0, 50, 10)).toBe(5);
  expect(paceStep(5, 0, 10)).toBe(2.5);
  let pace = 100;
  for (let n = 0; n < 20; n++) pace = paceStep(pace, 10, 10);
  expect(pace).toBeCloseTo(1, 3);
});

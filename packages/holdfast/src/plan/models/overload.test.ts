/** What happens beyond a part's capacity: retry storms, backlogs, and how far two choices keep from there. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { drainAfterStop, drainTime } from "./drain.ts";
import { figures, why } from "./fixtures/figures.ts";
import { mmc } from "./mmc.ts";
import { supermarket } from "./power-of-d.ts";
import { retryStorm } from "./retry-storm.ts";

test("the published example: 300 a second are possible, 280 come, one retry makes 560 of them", () => {
  expect(figures(retryStorm({ capacityPerSecond: 300, arrivalsPerSecond: 280, retries: 1 }))).toMatchObject({
    thresholdPerSecond: 150,
    offeredPerSecond: 560,
    verdict: "may-stay-down",
  });
});

/**
 * A queue of which every call is given up after a second and tried once more, one step a millisecond: what is served
 * late is work for nothing.
 */
function recoversAfterOutage(arrivalsPerSecond: number): boolean {
  const capacityPerSecond = 300;
  const queue: { at: number; attempt: number }[] = [];
  let head = 0;
  const giveUp: { at: number; attempt: number; done: boolean }[] = [];
  let [due, able, late, served] = [0, 0, 0, 0];
  for (let ms = 0; ms < 120_000; ms++) {
    const add = (attempt: number) => {
      const one = { at: ms, attempt, done: false };
      queue.push(one);
      giveUp.push(one);
    };
    for (due += arrivalsPerSecond / 1_000; due >= 1; due--) add(0);
    while (giveUp[0] && ms - giveUp[0].at >= 1_000) {
      const one = giveUp.shift() as (typeof giveUp)[number];
      if (!one.done && one.attempt < 1) add(one.attempt + 1);
    }
    // Nothing is served for the first ten seconds.
    if (ms < 10_000) continue;
    for (able += capacityPerSecond / 1_000; able >= 1; able--) {
      const one = queue[head] as (typeof giveUp)[number] | undefined;
      if (!one) break;
      head++;
      if (ms - one.at < 1_000) one.done = true;
      if (ms >= 100_000) [late, served] = [late + (one.done ? 0 : 1), served + 1];
    }
    able = Math.min(able, 1);
  }
  return late / served < 0.5;
}

test("played through: below capacity ÷ 2 it recovers from an outage, well above it does not", () => {
  expect(recoversAfterOutage(100)).toBe(true);
  expect(recoversAfterOutage(280)).toBe(false);
});

test("a budget lifts the threshold, and more retries never do", () => {
  const base = { capacityPerSecond: 300, arrivalsPerSecond: 200 };
  expect(figures(retryStorm({ ...base, retries: 3, budget: 0.2 }))).toMatchObject({
    thresholdPerSecond: 250,
    verdict: "recovers",
  });
  expect(figures(retryStorm({ ...base, retries: 0 })).verdict).toBe("recovers");
  expect(figures(retryStorm({ ...base, arrivalsPerSecond: 300, retries: 0 })).verdict).toBe("overloaded");
  fc.assert(
    fc.property(fc.nat(20), fc.nat(20), (a, b) => {
      const threshold = (retries: number) => figures(retryStorm({ ...base, retries })).thresholdPerSecond;
      expect(threshold(Math.max(a, b))).toBeLessThanOrEqual(threshold(Math.min(a, b)));
    }),
  );
});

test("a backlog is gone after backlog ÷ (capacity − arrivals), second by second", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.nat(99), (backlog, arrivalsPerSecond) => {
      const { seconds } = figures(drainTime({ backlog, arrivalsPerSecond, capacityPerSecond: 100 }));
      let left = backlog;
      let passed = 0;
      while (left > 0 && passed < 10_000) {
        left += arrivalsPerSecond - 100;
        passed++;
      }
      expect(Math.ceil(seconds - 1e-9)).toBe(passed);
    }),
  );
  expect(
    figures(drainAfterStop({ stoppedSeconds: 600, arrivalsPerSecond: 50, capacityPerSecond: 100 })),
  ).toMatchObject({
    backlog: 30_000,
    seconds: 600,
  });
});

test("the supermarket model at published points", () => {
  for (const [utilisation, one, two, three, five] of [
    [0.5, 2, 1.2657, 1.1252, 1.0313],
    [0.9, 10, 2.6141, 2.0279, 1.6329],
    [0.99, 100, 5.432, 3.8578, 2.9017],
  ] as const) {
    const at = (choices: number) =>
      figures(supermarket({ utilisation, serviceMs: 1, choices })).meanResponseMs;
    expect(at(1)).toBeCloseTo(one, 9);
    expect(at(2)).toBeCloseTo(two, 4);
    expect(at(3)).toBeCloseTo(three, 4);
    expect(at(5)).toBeCloseTo(five, 4);
  }
});

test("choices lie between one random queue and one common queue", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.integer({ min: 1, max: 20 }),
      (utilisation, choices) => {
        const at = (count: number) =>
          figures(supermarket({ utilisation, serviceMs: 1, choices: count })).meanResponseMs;
        const common = figures(mmc({ servers: 1_000, serviceMs: 1, arrivalsPerSecond: utilisation * 1e6 }));
        expect(at(choices)).toBeLessThanOrEqual(1 / (1 - utilisation) + 1e-9);
        expect(at(choices + 1)).toBeLessThanOrEqual(at(choices) + 1e-12);
        expect(at(choices)).toBeGreaterThanOrEqual(1 - 1e-12);
        expect(common.meanResponseMs).toBeGreaterThanOrEqual(1);
      },
    ),
  );
});

test("what never drains, full servers and bad figures are refused", () => {
  expect(why(drainTime({ backlog: 1, arrivalsPerSecond: 100, capacityPerSecond: 100 }))).toMatch(
    /never becomes less/,
  );
  expect(figures(drainTime({ backlog: 0, arrivalsPerSecond: 200, capacityPerSecond: 100 })).seconds).toBe(0);
  expect(
    why(drainAfterStop({ stoppedSeconds: -1, arrivalsPerSecond: Number.NaN, capacityPerSecond: 1 })),
  ).toMatch(/stoppedSeconds.*arrivalsPerSecond/);
  expect(why(supermarket({ utilisation: 1, serviceMs: 1, choices: 2 }))).toMatch(/utilisation is 1/);
  expect(why(supermarket({ utilisation: -1, serviceMs: 0, choices: 0 }))).toMatch(
    /utilisation.*serviceMs.*choices/,
  );
  expect(why(retryStorm({ capacityPerSecond: 0, arrivalsPerSecond: -1, retries: -1, budget: -1 }))).toMatch(
    /capacityPerSecond.*arrivalsPerSecond.*retries.*budget/,
  );
});

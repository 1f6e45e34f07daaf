import fc from "fast-check";
import { expect, test } from "vitest";
import { figures, why } from "./fixtures/figures.ts";
import { exponential, playQueue } from "./fixtures/queue-twin.ts";
import { pollaczekKhinchine, processorSharing } from "./mg1.ts";
import { mmc } from "./mmc.ts";

const at = (utilisation: number, variation: number) =>
  figures(pollaczekKhinchine({ arrivalsPerSecond: utilisation, serviceMs: 1_000, variation }));

test.each([
  // variation, mean wait in service times, at a utilisation of 0.8: constant, Erlang-2, exponential, hyperexponential
  [0, 2],
  [0.5, 3],
  [1, 4],
  [4, 10],
])("variation %d waits %d service times", (variation, wait) => {
  expect(at(0.8, variation).meanWaitMs / 1_000).toBeCloseTo(wait, 10);
});

test("constant service times, played through", () => {
  const played = playQueue({ seed: 3, calls: 500_000, servers: 1, utilisation: 0.8, service: () => 1 });
  expect(Math.abs(played.meanWait / 2 - 1)).toBeLessThan(0.05);
});

test("a mix of short and long calls, played through", () => {
  // 90 % take 0.5, 10 % take 5.5 on average: mean 1, E[S²] = 0.9 · 2 · 0.25 + 0.1 · 2 · 30.25 = 6.5, variation 5.5.
  const played = playQueue({
    seed: 5,
    calls: 2_000_000,
    servers: 1,
    utilisation: 0.6,
    service: (random) => exponential(random, random.next() < 0.9 ? 0.5 : 5.5),
  });
  expect(Math.abs((played.meanWait * 1_000) / at(0.6, 5.5).meanWaitMs - 1)).toBeLessThan(0.05);
});

test("with exponential service it is M/M/1", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.99, noNaN: true }), (utilisation) => {
      const twin = figures(mmc({ arrivalsPerSecond: utilisation, serviceMs: 1_000, servers: 1 }));
      expect(at(utilisation, 1).meanWaitMs).toBeCloseTo(twin.meanWaitMs, 6);
      expect(at(utilisation, 1).meanWaiting).toBeCloseTo(twin.meanWaiting, 9);
    }),
  );
});

test("processor sharing: five service times at 0.8, whatever the variation, and twice as much takes twice as long", () => {
  const shared = figures(processorSharing({ arrivalsPerSecond: 0.8, serviceMs: 1_000 }));
  expect(shared.meanResponseMs).toBeCloseTo(5_000, 9);
  expect(shared.responseMsOf(20)).toBeCloseTo(100, 9);
});

test("a tail without a variance, a full server and bad figures are refused", () => {
  expect(why(pollaczekKhinchine({ arrivalsPerSecond: 1, serviceMs: 10, variation: Infinity }))).toMatch(
    /variance is infinite has no mean wait/,
  );
  expect(why(pollaczekKhinchine({ arrivalsPerSecond: 100, serviceMs: 10, variation: 0 }))).toMatch(
    /utilisation is 1/,
  );
  expect(why(processorSharing({ arrivalsPerSecond: 200, serviceMs: 10 }))).toMatch(/utilisation is 2/);
  expect(why(processorSharing({ arrivalsPerSecond: Number.NaN, serviceMs: -1 }))).toMatch(/NaN.*got -1/);
});

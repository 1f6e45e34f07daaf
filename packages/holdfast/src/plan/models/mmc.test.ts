import fc from "fast-check";
import { expect, test } from "vitest";
import { figures, why } from "./fixtures/figures.ts";
import { exponential, playQueue } from "./fixtures/queue-twin.ts";
import { erlangB, erlangC, mmc } from "./mmc.ts";

/** Utilisation and servers, with a mean service time of a second, so that times are in service times. */
const at = (servers: number, utilisation: number) =>
  figures(mmc({ servers, serviceMs: 1_000, arrivalsPerSecond: utilisation * servers }));

test.each([
  // servers, utilisation, P(wait), mean wait, 99th percentile of the wait: the closed form, evaluated independently
  [1, 0.8, 0.8, 4, 21.91],
  [1, 0.9, 0.9, 9, 45.0],
  [2, 0.8, 0.7111, 1.7778, 10.66],
  [2, 0.9, 0.8526, 4.2632, 22.23],
  [4, 0.9, 0.7878, 1.9694, 10.92],
  [10, 0.8, 0.4092, 0.2046, 1.856],
  [10, 0.9, 0.6687, 0.6687, 4.203],
  [100, 0.95, 0.5065, 0.1013, 0.785],
])("%i servers at %d wait as published", (servers, utilisation, waits, meanWait, p99) => {
  const one = at(servers, utilisation);
  expect(one.waitProbability).toBeCloseTo(waits, 4);
  expect(one.meanWaitMs / 1_000).toBeCloseTo(meanWait, 4);
  expect(Math.abs(one.waitMsAt(0.99) / 1_000 / p99 - 1)).toBeLessThan(5e-4);
});

test("one server: the textbook's M/M/1", () => {
  const { meanInSystem, meanResponseMs, meanWaiting, responseMsAt } = at(1, 0.8);
  expect(meanInSystem).toBeCloseTo(4, 10); // ρ/(1 − ρ)
  expect(meanWaiting).toBeCloseTo(3.2, 10); // ρ²/(1 − ρ)
  expect(meanResponseMs).toBeCloseTo(5_000, 7); // 1/(μ − λ)
  // The response is exponential with that mean.
  for (const share of [0, 0.5, 0.9, 0.99, 0.999])
    expect(responseMsAt(share)).toBeCloseTo(-5_000 * Math.log(1 - share), 3);
});

/** The definition, with its sum of aⁿ/n!: good for few servers only. */
function erlangSum(servers: number, offered: number): number {
  let term = 1;
  let below = 0;
  for (let n = 0; n < servers; n++) {
    below += term;
    term = (term * offered) / (n + 1);
  }
  const last = (term * servers) / (servers - offered);
  return last / (below + last);
}

test("the recursion agrees with the definition's sum", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (servers, utilisation) => {
        const offered = servers * utilisation;
        expect(erlangC(servers, offered)).toBeCloseTo(erlangSum(servers, offered), 9);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("Erlang B at published points", () => {
  // Classic traffic table: 10 trunks at 4.46 Erlangs block 1 %, 100 trunks at 84.06 Erlangs.
  expect(erlangB(10, 4.461)).toBeCloseTo(0.01, 4);
  expect(erlangB(100, 84.06)).toBeCloseTo(0.01, 4);
});

test.each([
  [1, 0.8],
  [2, 0.9],
  [10, 0.9],
])("%i servers at %d: a queue played through waits as the formula says", (servers, utilisation) => {
  const played = playQueue({
    seed: 11,
    calls: 1_000_000,
    servers,
    utilisation,
    service: (random) => exponential(random, 1),
  });
  const one = at(servers, utilisation);
  expect(Math.abs(played.waited / one.waitProbability - 1)).toBeLessThan(0.02);
  expect(Math.abs((played.meanWait * 1_000) / one.meanWaitMs - 1)).toBeLessThan(0.05);
  expect(Math.abs((played.meanResponse * 1_000) / one.meanResponseMs - 1)).toBeLessThan(0.05);
  expect(Math.abs((played.waitAt(0.99) * 1_000) / one.waitMsAt(0.99) - 1)).toBeLessThan(0.08);
});

const load = fc.double({ min: 0.01, max: 0.98, noNaN: true });

test("more load never waits less, and another server never waits longer", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), load, load, (servers, a, b) => {
      const [less, more] = [at(servers, Math.min(a, b)), at(servers, Math.max(a, b))];
      const hair = 1 + 1e-9;
      expect(less.meanWaitMs).toBeLessThanOrEqual(more.meanWaitMs * hair);
      expect(less.waitProbability).toBeLessThanOrEqual(more.waitProbability * hair);
      expect(less.responseMsAt(0.99)).toBeLessThanOrEqual(more.responseMsAt(0.99) * hair);
      const another = figures(
        mmc({ servers: servers + 1, serviceMs: 1_000, arrivalsPerSecond: Math.max(a, b) * servers }),
      );
      expect(another.meanWaitMs).toBeLessThanOrEqual(more.meanWaitMs * hair);
    }),
  );
});

test("percentiles rise, and the response is never below the wait nor below the service alone", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      load,
      fc.double({ min: 0, max: 0.9999, noNaN: true }),
      (servers, utilisation, share) => {
        const one = at(servers, utilisation);
        expect(one.responseMsAt(share)).toBeGreaterThanOrEqual(one.waitMsAt(share) - 1e-6);
        expect(one.responseMsAt(share)).toBeGreaterThanOrEqual(-1_000 * Math.log(1 - share) - 1e-6);
        expect(one.waitMsAt(share)).toBeLessThanOrEqual(one.waitMsAt((share + 1) / 2));
      },
    ),
  );
});

test("a million servers are neither too many nor too slow", () => {
  const one = figures(mmc({ servers: 1_000_000, serviceMs: 10, arrivalsPerSecond: 99_900_000 }));
  expect(one.utilisation).toBeCloseTo(0.999, 9);
  expect(one.waitProbability).toBeGreaterThan(0);
  expect(one.waitProbability).toBeLessThan(1);
});

test("where it does not hold it says why, all at once", () => {
  expect(why(mmc({ servers: 2, serviceMs: 10, arrivalsPerSecond: 200 }))).toMatch(/utilisation is 1/);
  expect(why(mmc({ servers: 2, serviceMs: 10, arrivalsPerSecond: 500 }))).toMatch(
    /utilisation is 2.5.*without end/,
  );
  const all = why(mmc({ servers: 0, serviceMs: Number.NaN, arrivalsPerSecond: -1 }));
  expect(all).toMatch(/arrivalsPerSecond should be 0 or more, got -1/);
  expect(all).toMatch(/serviceMs should be above 0, got NaN/);
  expect(all).toMatch(/servers should be a whole number from 1 to 10000000, got 0/);
  expect(() => at(1, 0.5).waitMsAt(1)).toThrow(RangeError);
});

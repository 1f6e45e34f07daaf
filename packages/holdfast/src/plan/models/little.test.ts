import fc from "fast-check";
import { expect, test } from "vitest";
import { figures, why } from "./fixtures/figures.ts";
import { halfinWhitt, inSystem, type ServersInput, serversFor, squareRootStaffing } from "./little.ts";
import { mmc } from "./mmc.ts";

test("what arrives times how long it stays", () => {
  expect(figures(inSystem(1_000, 50)).count).toBe(50);
});

test("Halfin and Whitt's probability of waiting", () => {
  for (const [beta, waits] of [
    [2.375, 0.01],
    [1.761, 0.0476],
    [1.16, 0.1667],
    [1, 0.2234],
  ] as const)
    expect(halfinWhitt(beta)).toBeCloseTo(waits, 4);
  expect(halfinWhitt(0)).toBe(1);
});

const demand = fc.record({
  arrivalsPerSecond: fc.double({ min: 0, max: 5_000, noNaN: true }),
  serviceMs: fc.double({ min: 0.1, max: 100, noNaN: true }),
  utilisationMax: fc.double({ min: 0.3, max: 0.95, noNaN: true }),
  wait: fc.option(
    fc.record({
      ms: fc.double({ min: 0, max: 50, noNaN: true }),
      share: fc.constantFrom(0.5, 0.9, 0.99),
    }),
    { nil: undefined },
  ),
});
type Drawn = typeof demand extends fc.Arbitrary<infer T> ? T : never;
const clean = ({ wait, ...rest }: Drawn): ServersInput => (wait ? { ...rest, wait } : rest);

test("the number keeps what is wanted, and one fewer does not", () => {
  fc.assert(
    fc.property(demand, (given) => {
      const input = clean(given);
      const { servers } = figures(serversFor(input));
      // Rounding may put either of them on the other side of the line by a hair.
      const keeps = (count: number, hair: number) => {
        if (count < 1) return false;
        const queue = mmc({ ...input, servers: count });
        return (
          queue.holds &&
          queue.utilisation <= input.utilisationMax + hair &&
          (!input.wait || queue.waitMsAt(input.wait.share) <= input.wait.ms + hair)
        );
      };
      expect(keeps(servers, 1e-7)).toBe(true);
      expect(keeps(servers - 1, -1e-7)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test("more load never needs fewer", () => {
  fc.assert(
    fc.property(demand, fc.double({ min: 1, max: 3, noNaN: true }), (given, more) => {
      const input = clean(given);
      const busier = { ...input, arrivalsPerSecond: input.arrivalsPerSecond * more };
      expect(figures(serversFor(busier)).servers).toBeGreaterThanOrEqual(figures(serversFor(input)).servers);
    }),
  );
});

test("the square-root rule is near the exact number when there are many", () => {
  for (const offered of [50, 400, 5_000]) {
    for (const waits of [0.05, 0.2, 0.5]) {
      const { servers } = figures(squareRootStaffing(offered, waits));
      // The exact one: a wait of 0 kept by 1 - waits of the calls.
      const exact = figures(
        serversFor({
          arrivalsPerSecond: offered,
          serviceMs: 1_000,
          utilisationMax: 0.9999,
          wait: { ms: 0, share: 1 - waits },
        }),
      ).servers;
      expect(Math.abs(servers - exact)).toBeLessThanOrEqual(1);
    }
  }
});

test("nothing to do still needs one, and bad figures are refused together", () => {
  expect(figures(serversFor({ arrivalsPerSecond: 0, serviceMs: 1, utilisationMax: 0.7 }))).toMatchObject({
    servers: 1,
    waitProbability: 0,
  });
  const all = why(
    serversFor({
      arrivalsPerSecond: -1,
      serviceMs: 0,
      utilisationMax: 1,
      wait: { ms: Number.NaN, share: 1 },
    }),
  );
  expect(all).toMatch(/arrivalsPerSecond.*serviceMs.*utilisationMax.*wait\.ms.*wait\.share/);
  expect(why(serversFor({ arrivalsPerSecond: 1e12, serviceMs: 1_000, utilisationMax: 0.5 }))).toMatch(
    /counts up to/,
  );
  expect(why(squareRootStaffing(0, 2))).toMatch(/offered.*waitProbability/);
});

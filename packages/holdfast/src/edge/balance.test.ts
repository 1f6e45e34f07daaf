import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../clock/index.ts";
import { chooseOfTwo } from "./balance.ts";

test("the choice is never the most loaded of three or more, unless the loads are equal", () => {
  const loads = fc.array(fc.nat(100), { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(loads, fc.nat(), (inFlights, seed) => {
      const candidates = inFlights.map((inFlight) => ({ inFlight }));
      const chosen = chooseOfTwo(candidates, seededRandom(seed));
      const most = Math.max(...inFlights);
      const alone = inFlights.filter((inFlight) => inFlight === most).length === 1;
      if (alone) expect(chosen?.inFlight).toBeLessThan(most);
    }),
  );
});

test("nothing to choose from is no choice, and one is the choice", () => {
  const random = seededRandom(1);
  expect(chooseOfTwo([], random)).toBeUndefined();
  const only = { inFlight: 9 };
  expect(chooseOfTwo([only], random)).toBe(only);
});

test("ten thousand requests that stay spread far more evenly than by chance", () => {
  const spread = (choose: (bins: { inFlight: number }[]) => { inFlight: number }) => {
    const bins = Array.from({ length: 10 }, () => ({ inFlight: 0 }));
    for (let i = 0; i < 10_000; i++) choose(bins).inFlight++;
    return Math.max(...bins.map(({ inFlight }) => inFlight)) - 1000;
  };
  const random = seededRandom(7);
  const ofTwo = spread((bins) => chooseOfTwo(bins, random) as { inFlight: number });
  const ofOne = spread((bins) => bins[Math.floor(random.next() * bins.length)] as { inFlight: number });
  expect(ofTwo).toBeLessThanOrEqual(5);
  expect(ofOne).toBeGreaterThan(20);
});

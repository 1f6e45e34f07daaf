/** No model ever answers with a number that is none: whatever it is asked, it holds with figures or says why not. */
import fc from "fast-check";
import { expect, test } from "vitest";
import * as models from "./index.ts";
import type { Modelled } from "./model.ts";

const anything = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 1e308, 5e-324),
  fc.integer({ min: 1, max: 100 }),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

const asked: Readonly<Record<string, (...n: number[]) => Modelled<object>>> = {
  mmc: (a = 0, b = 0, c = 0) => models.mmc({ arrivalsPerSecond: a, serviceMs: b, servers: c }),
  pollaczekKhinchine: (a = 0, b = 0, c = 0) =>
    models.pollaczekKhinchine({ arrivalsPerSecond: a, serviceMs: b, variation: c }),
  processorSharing: (a = 0, b = 0) => models.processorSharing({ arrivalsPerSecond: a, serviceMs: b }),
  forkJoin: (a = 0, b = 0, c = 0) => models.forkJoin({ arrivalsPerSecond: a, serviceMs: b, branches: c }),
  slowestOfExponential: (a = 0, b = 0) => models.slowestOfExponential(a, b),
  inSystem: (a = 0, b = 0) => models.inSystem(a, b),
  serversFor: (a = 0, b = 0, c = 0, d = 0) =>
    models.serversFor({
      arrivalsPerSecond: a,
      serviceMs: b,
      utilisationMax: c,
      wait: { ms: d, share: 0.99 },
    }),
  squareRootStaffing: (a = 0, b = 0) => models.squareRootStaffing(a, b),
  idealHitRatio: (a = 0, b = 0, c = 0) => models.idealHitRatio({ items: a, exponent: b }, c),
  itemsForHitRatio: (a = 0, b = 0, c = 0) => models.itemsForHitRatio({ items: a, exponent: b }, c),
  hottestShare: (a = 0, b = 0) => models.hottestShare({ items: a, exponent: b }),
  tailAmplification: (a = 0, b = 0) => models.tailAmplification(a, b),
  slowShareAllowed: (a = 0, b = 0) => models.slowShareAllowed(a, b),
  inSeries: (...shares) => models.inSeries(shares),
  inParallel: (...shares) => models.inParallel(shares),
  kOfN: (a = 0, b = 0, c = 0) => models.kOfN(a, b, c),
  downtime: (a = 0) => models.downtime(a),
  fromRepair: (a = 0, b = 0) => models.fromRepair(a, b),
  latencyLaw: (a = 0, b = 0) => models.latencyLaw(a, b),
  latencyBudget: (a = 0, b = 0, c = 0, d = 0) =>
    models.latencyBudget(a, [{ name: "one", medianMs: b, p99Ms: c, calls: d }]),
  drainTime: (a = 0, b = 0, c = 0) =>
    models.drainTime({ backlog: a, arrivalsPerSecond: b, capacityPerSecond: c }),
  drainAfterStop: (a = 0, b = 0, c = 0) =>
    models.drainAfterStop({ stoppedSeconds: a, arrivalsPerSecond: b, capacityPerSecond: c }),
  retryStorm: (a = 0, b = 0, c = 0, d = 0) =>
    models.retryStorm({ capacityPerSecond: a, arrivalsPerSecond: b, retries: c, budget: d }),
  supermarket: (a = 0, b = 0, c = 0) => models.supermarket({ utilisation: a, serviceMs: b, choices: c }),
  usl: (a = 0, b = 0, c = 0) => models.usl({ alpha: a, beta: b, gamma: c }),
};

test.each(Object.keys(asked))("%s: figures, or a reason", (name) => {
  fc.assert(
    fc.property(fc.array(anything, { minLength: 4, maxLength: 4 }), (n) => {
      const answer = (asked[name] as (...n: number[]) => Modelled<object>)(...n);
      if (!answer.holds) {
        expect(answer.why).toMatch(/\w/);
        return;
      }
      for (const [figure, value] of Object.entries(answer))
        if (typeof value === "number")
          expect(Number.isNaN(value), `${figure} of ${JSON.stringify(n)}`).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { stepPromotion } from "./promotion-step.ts";

const answers = (...lsns: (bigint | undefined)[]) => lsns.map((lsn, index) => ({ index, lsn }));

test("the standby that has most of the log takes over, the first of equals", () => {
  expect(stepPromotion(answers(5n, 9n, 7n), 0)).toEqual({ kind: "promote", index: 1, lsn: 9n });
  expect(stepPromotion(answers(undefined, 7n, 7n), 0)).toEqual({ kind: "promote", index: 1, lsn: 7n });
});

test("with too few of them reachable nobody does", () => {
  expect(stepPromotion([], 0)).toEqual({ kind: "refuse", reachable: 0, needed: 1 });
  expect(stepPromotion(answers(undefined), 0)).toEqual({ kind: "refuse", reachable: 0, needed: 1 });
  expect(stepPromotion(answers(9n, undefined), 1)).toEqual({ kind: "refuse", reachable: 1, needed: 2 });
  expect(stepPromotion(answers(9n, undefined), 2)).toEqual({ kind: "promote", index: 0, lsn: 9n });
});

test("with a quorum, whoever is promoted has every commit that was acknowledged", () => {
  // Standbys have prefixes of one log; a commit is acknowledged when `quorum` of them have it.
  const run = fc.integer({ min: 1, max: 5 }).chain((n) =>
    fc.record({
      quorum: fc.integer({ min: 1, max: n }),
      has: fc.array(fc.bigInt({ min: 0n, max: 20n }), { minLength: n, maxLength: n }),
      reachable: fc.array(fc.boolean(), { minLength: n, maxLength: n }),
    }),
  );
  fc.assert(
    fc.property(run, ({ quorum, has, reachable }) => {
      const acknowledged = [...has].sort((a, b) => Number(b - a))[quorum - 1] ?? 0n;
      const verdict = stepPromotion(
        has.map((lsn, index) => ({ index, lsn: reachable[index] ? lsn : undefined })),
        quorum,
      );
      if (verdict.kind === "promote") expect(verdict.lsn).toBeGreaterThanOrEqual(acknowledged);
    }),
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { compareFanOut } from "./compare.ts";
import { followerLaw } from "./followers.ts";

test("the law has the mean and the maximum that it was made of, summed rank by rank", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 5_000 }),
      fc.integer({ min: 2, max: 20 }),
      fc.integer({ min: 2, max: 50 }),
      (accounts, mean, times) => {
        const max = Math.min(accounts, mean * times);
        const law = followerLaw(accounts, mean, max);
        fc.pre(law !== undefined);
        if (!law) return;
        let sum = 0;
        let above = 0;
        const threshold = mean * 2;
        let sumAbove = 0;
        for (let rank = 1; rank <= accounts; rank++) {
          const followers = max / rank ** law.exponent;
          sum += followers;
          if (followers > threshold) {
            above++;
            sumAbove += followers;
          }
        }
        expect(sum / accounts).toBeCloseTo(mean, 1);
        expect(Math.abs(law.above(threshold) - above)).toBeLessThanOrEqual(1);
        expect(Math.abs(law.shareAbove(threshold) - sumAbove / sum)).toBeLessThan(0.05 + (2 * max) / sum);
      },
    ),
  );
});

test("there is no law when the largest has less than the mean, or more than there are accounts", () => {
  expect(followerLaw(1000, 50, 10)).toBeUndefined();
  expect(followerLaw(1000, 50, 2000)).toBeUndefined();
});

const ways = (max: number, posts: number, reads: number, spare: number) => {
  const law = followerLaw(1_000_000, 100, max);
  if (!law) throw new Error("no law");
  return compareFanOut({
    law,
    postsPerSecond: posts,
    readsPerSecond: reads,
    spareWritesPerSecond: spare,
    deliveredWithinMs: 5_000,
  });
};

test("push is best while the largest account can be delivered to in time", () => {
  expect(ways(40_000, 100, 1_000, 10_000)).toMatchObject({
    best: "push",
    pulledAccounts: 0,
    push: { inTime: true },
  });
});

test("beyond it the hybrid is: it pulls just those accounts that push would be late for", () => {
  const found = ways(500_000, 100, 1_000, 10_000);
  expect(found.best).toBe("hybrid");
  expect(found.push.inTime).toBe(false);
  expect(found.hybrid.inTime).toBe(true);
  expect(found.threshold).toBe(50_000);
  expect(found.pulledAccounts).toBeGreaterThan(0);
  expect(found.hybrid.writesPerSecond).toBeLessThan(found.push.writesPerSecond);
  expect(found.hybrid.listsPerRead).toBeLessThan(found.pull.listsPerRead);
});

test("pull is best when hardly anybody reads", () => {
  expect(ways(500_000, 1_000, 1, 10_000).best).toBe("pull");
});

test("more to spare never pulls more accounts", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 1_000_000 }), (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(ways(500_000, 100, 1_000, more).pulledAccounts).toBeLessThanOrEqual(
        ways(500_000, 100, 1_000, less).pulledAccounts,
      );
    }),
    { numRuns: 30 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { manualClock } from "../clock/index.ts";
import { budgetsMax, retryBudget, retryBudgets } from "./budget.ts";
import { newBudget, resolveBudgetOptions, stepExtraAttempt, stepSuccess } from "./budget-step.ts";

test("in any stretch of time, extra attempts stay within savings, a fifth of successes and one a second", () => {
  const event = fc.record({ afterMs: fc.integer({ min: 0, max: 3000 }), success: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const options = resolveBudgetOptions();
      let state = newBudget(options, 0);
      let nowMs = 0;
      // What each stretch could have paid for at most, begun at each event that was let through.
      const stretches: { sinceMs: number; successes: number; extra: number }[] = [];
      for (const { afterMs, success } of events) {
        nowMs += afterMs;
        stretches.push({ sinceMs: nowMs, successes: 0, extra: 0 });
        if (success) {
          state = stepSuccess(state, options, nowMs);
          for (const stretch of stretches) stretch.successes++;
          continue;
        }
        const step = stepExtraAttempt(state, options, nowMs);
        state = step.state;
        if (step.allowed) for (const stretch of stretches) stretch.extra++;
        for (const { sinceMs, successes, extra } of stretches)
          expect(extra).toBeLessThanOrEqual(10 + successes * 0.2 + (nowMs - sinceMs) / 1000 + 1e-6);
      }
    }),
  );
});

test("during an outage the savings are spent, and then one extra attempt a second is left", async () => {
  const clock = manualClock();
  const budget = retryBudget(clock);
  const burst = () => {
    let allowed = 0;
    while (budget.takeExtraAttempt()) allowed++;
    return allowed;
  };
  expect(burst()).toBe(10);
  await clock.advance(3000);
  expect(burst()).toBe(3);
  for (let i = 0; i < 5; i++) budget.succeeded();
  expect(burst()).toBe(1);
  await clock.advance(3_600_000);
  expect(burst()).toBe(10);
});

test("each caller and target has its own budget, always the same, and forgotten ones begin anew", () => {
  const budgets = retryBudgets(manualClock(), { savedMax: 1, perSecond: 0 });
  expect(budgets.of("api", "links").takeExtraAttempt()).toBe(true);
  expect(budgets.of("api", "links").takeExtraAttempt()).toBe(false);
  expect(budgets.of("api", "clicks").takeExtraAttempt()).toBe(true);
  expect(budgets.of("tally", "links").takeExtraAttempt()).toBe(true);
  for (let i = 0; i < budgetsMax; i++) budgets.of("api", `other-${i}`);
  expect(budgets.of("api", "links").takeExtraAttempt()).toBe(true);
});

test("a wall clock that jumps changes nothing", () => {
  const clock = manualClock();
  const budget = retryBudget(clock, { savedMax: 1 });
  expect(budget.takeExtraAttempt()).toBe(true);
  clock.jumpWall(3_600_000);
  expect(budget.takeExtraAttempt()).toBe(false);
});

test("options out of range are refused by name", () => {
  expect(() => retryBudget(manualClock(), { perSuccess: -1 })).toThrow("perSuccess");
  expect(() => retryBudget(manualClock(), { perSecond: Number.NaN })).toThrow("perSecond");
  expect(() => retryBudget(manualClock(), { savedMax: 0.5 })).toThrow("savedMax");
});

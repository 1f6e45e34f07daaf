/**
 * Budgets for extra attempts, one per caller and target. Retries, hedges and background refreshes of one
 * caller to one target draw on the same budget.
 */
import type { Clock } from "../clock/index.ts";
import {
  type BudgetOptions,
  newBudget,
  type ResolvedBudgetOptions,
  resolveBudgetOptions,
  stepExtraAttempt,
  stepSuccess,
} from "./budget-step.ts";

export interface RetryBudget {
  /** A call succeeded: it pays for a part of an extra attempt. */
  succeeded(): void;
  /** Asks for one extra attempt, and takes it when there is one. */
  takeExtraAttempt(): boolean;
}

/** @throws {RangeError} for options that are out of range */
export function retryBudget(clock: Clock, options: BudgetOptions = {}): RetryBudget {
  return budgetOf(clock, resolveBudgetOptions(options));
}

function budgetOf(clock: Clock, options: ResolvedBudgetOptions): RetryBudget {
  let state = newBudget(options, clock.monotonicMs());
  return {
    succeeded() {
      state = stepSuccess(state, options, clock.monotonicMs());
    },
    takeExtraAttempt() {
      const step = stepExtraAttempt(state, options, clock.monotonicMs());
      state = step.state;
      return step.allowed;
    },
  };
}

export interface RetryBudgets {
  /** The budget of this caller for this target; the same one each time. */
  of(caller: string, target: string): RetryBudget;
}

/** Pairs that are remembered. Above it the pair that was asked for longest ago is forgotten, and begins anew. */
export const budgetsMax = 10_000;

export function retryBudgets(clock: Clock, options: BudgetOptions = {}): RetryBudgets {
  const resolved = resolveBudgetOptions(options);
  const budgets = new Map<string, RetryBudget>();
  return {
    of(caller, target) {
      const pair = JSON.stringify([caller, target]);
      const known = budgets.get(pair);
      const budget = known ?? budgetOf(clock, resolved);
      // Deleting first moves the pair to the end: the map is in order of use.
      budgets.delete(pair);
      budgets.set(pair, budget);
      if (budgets.size > budgetsMax) budgets.delete(budgets.keys().next().value as string);
      return budget;
    },
  };
}

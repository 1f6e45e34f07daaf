export { type BackoffOptions, backoffDefaults, fullJitterMs } from "./backoff.ts";
export { type RetryBudget, type RetryBudgets, retryBudget, retryBudgets } from "./budget.ts";
export { type BudgetOptions, budgetDefaults } from "./budget-step.ts";
export { InFlight, type InFlightEntry } from "./in-flight.ts";
export { type RetryOptions, retry, retryDefaults } from "./retry.ts";
export { type SingleFlight, type SingleFlightOptions, singleFlight } from "./single-flight.ts";

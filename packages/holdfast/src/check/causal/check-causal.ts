/** Causal consistency, in the three strengths that the literature has, as checkers. */
import { systemClock } from "../../clock/index.ts";
import { BudgetMeter } from "../budget.ts";
import type { Checker, CheckerFamily, CheckOptions } from "../checker.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult, Witness } from "../verdict.ts";
import { convergencePatterns, memoryPatterns, weakPatterns } from "./bad-patterns.ts";
import { BudgetSpent, CausalOrder } from "./causal-order.ts";
import { type RegisterHistory, registerFunctions, registerHistory } from "./register-history.ts";

/** Looks for contradictions. Throws `BudgetSpent` when it has to give up. */
export type Patterns = (history: RegisterHistory, meter: BudgetMeter) => readonly Witness[];

/** A checker of registers whose verdict is whether a pattern is found. */
export function patternChecker(
  name: string,
  family: CheckerFamily,
  summary: string,
  patterns: Patterns,
): Checker {
  const check = (operations: readonly Operation[], options: CheckOptions = {}): CheckResult => {
    const meter = new BudgetMeter(options.nowMs ?? systemClock.monotonicMs, options.budget);
    const common = { model: name, operations: operations.length };
    const unknown = (reason: string): CheckResult => ({
      verdict: "unknown",
      reason,
      witnesses: [],
      ...common,
    });
    const history = registerHistory(operations);
    let witnesses: readonly Witness[];
    try {
      witnesses = patterns(history, meter);
    } catch (error) {
      if (error instanceof BudgetSpent) return unknown(error.message);
      throw error;
    }
    if (witnesses.length > 0) return { verdict: "illegal", witnesses, ...common };
    if (history.ambiguous.length > 0)
      return unknown(
        `who wrote what was read is ambiguous: ${history.ambiguous.slice(0, 3).join("; ")}${history.ambiguous.length > 3 ? "; …" : ""}. Record a history in which each value is written once to a key`,
      );
    return { verdict: "ok", witnesses: [], ...common };
  };
  return { name, family, summary, functions: registerFunctions, check };
}

const weak: Patterns = (history, meter) => weakPatterns(history, new CausalOrder(history, meter), meter);

const memory: Patterns = (history, meter) => {
  const order = new CausalOrder(history, meter);
  const found = weakPatterns(history, order, meter);
  return found.length > 0 ? found : memoryPatterns(history, order, meter);
};

const convergence: Patterns = (history, meter) => {
  const order = new CausalOrder(history, meter);
  const found = weakPatterns(history, order, meter);
  return found.length > 0 ? found : convergencePatterns(history, order, meter);
};

export const causalCheckers: readonly Checker[] = [
  patternChecker(
    "causal",
    "causal",
    "Causal memory: each process sees all writes in an order that respects cause and effect, and sticks to it.",
    memory,
  ),
  patternChecker(
    "causal-convergence",
    "causal",
    "Causal, and all processes agree in the end which of two concurrent writes is the last.",
    convergence,
  ),
  patternChecker(
    "causal-weak",
    "causal",
    "Causal in its weakest form: each read alone can be explained by writes that respect cause and effect.",
    weak,
  ),
];

/** Finds the first moment at which a history has become impossible, and why. */
import { BudgetMeter } from "../budget.ts";
import type { Operation } from "../history/event.ts";
import type { AnyModel } from "./model.ts";
import { type Contradiction, explain, search } from "./search.ts";
import { forgetEnd } from "./shrink.ts";

/** Milliseconds for each of the two ways to find it. */
const explainMsMax = 5_000;

/**
 * @param found what the search that looks ahead said: true, though its blame may be too early or too late
 * @returns the first contradiction, where time allows
 */
export function firstContradiction(
  model: AnyModel,
  operations: readonly Operation[],
  found: Contradiction,
  nowMs: () => number,
): Contradiction {
  const attempt = (some: readonly Operation[]): Contradiction | undefined => {
    const result = explain(model, some, new BudgetMeter(nowMs, { timeMs: explainMsMax }));
    return result.verdict === "illegal" ? result : undefined;
  };
  if (found.cause === "value" || !model.values?.(operations)) return found;
  const prefix = shortestIllegalPrefix(model, operations, nowMs);
  const last = prefix.reduce((a, b) => (ended(b) > ended(a) ? b : a));
  return attempt(prefix) ?? { ...found, blocked: last, cause: "unexplained" };
}

function ended({ outcome, returnIndex }: Operation): number {
  return outcome === "ok" ? returnIndex : -1;
}

/** By halving: a history that is impossible stays so, whatever comes after. */
function shortestIllegalPrefix(
  model: AnyModel,
  operations: readonly Operation[],
  nowMs: () => number,
): readonly Operation[] {
  const meter = new BudgetMeter(nowMs, { timeMs: explainMsMax });
  const ends = operations
    .filter(({ outcome }) => outcome === "ok")
    .map(({ returnIndex }) => returnIndex)
    .sort((a, b) => a - b);
  let legal = -1;
  let illegal = ends.length - 1;
  while (illegal - legal > 1) {
    const middle = (legal + illegal) >>> 1;
    const { verdict } = search(model, prefixTo(operations, ends[middle] as number), meter);
    if (verdict === "unknown") break;
    if (verdict === "illegal") illegal = middle;
    else legal = middle;
  }
  return prefixTo(operations, ends[illegal] as number);
}

function prefixTo(operations: readonly Operation[], endIndex: number): readonly Operation[] {
  return operations
    .filter(({ callIndex }) => callIndex < endIndex)
    .map((operation) =>
      operation.returnIndex > endIndex && operation.outcome === "ok" ? forgetEnd(operation) : operation,
    );
}

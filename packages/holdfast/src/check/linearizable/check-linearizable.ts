/**
 * Judges whether a history is linearizable: each object on its own, because a history is linearizable exactly when
 * its part for each object is.
 */

import { systemClock } from "../../clock/index.ts";
import { BudgetMeter } from "../budget.ts";
import type { CheckOptions } from "../checker.ts";
import { identity } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult, Witness } from "../verdict.ts";
import { firstContradiction } from "./first-contradiction.ts";
import type { AnyModel } from "./model.ts";
import { search } from "./search.ts";
import { shrink } from "./shrink.ts";
import { linearizabilityWitness } from "./witness.ts";

/** Objects of which a contradiction is shown; the verdict is certain with the first. */
const witnessesMax = 3;

export function checkLinearizable(
  model: AnyModel,
  operations: readonly Operation[],
  options: CheckOptions = {},
): CheckResult {
  const nowMs = options.nowMs ?? systemClock.monotonicMs;
  const meter = new BudgetMeter(nowMs, options.budget);
  const witnesses: Witness[] = [];
  let reason: string | undefined;
  for (const part of partitions(model, operations)) {
    const result = search(model, part, meter);
    if (result.verdict === "unknown") {
      reason = result.reason;
      break;
    }
    if (result.verdict === "ok") continue;
    const contradiction = firstContradiction(model, part, result, nowMs);
    witnesses.push(linearizabilityWitness(model, contradiction, shrink(model, part, contradiction, nowMs)));
    if (witnesses.length === witnessesMax) break;
  }
  const common = { model: model.name, witnesses, operations: operations.length };
  if (witnesses.length > 0) return { verdict: "illegal", ...common };
  return reason === undefined ? { verdict: "ok", ...common } : { verdict: "unknown", reason, ...common };
}

/** The operations of each object, without those that failed; the objects with the fewest first. */
function partitions(model: AnyModel, operations: readonly Operation[]): (readonly Operation[])[] {
  const parts = new Map<unknown, Operation[]>();
  for (const operation of operations) {
    if (operation.outcome === "fail") continue;
    const name = identity(model.partition ? model.partition(operation) : operation.key);
    const part = parts.get(name);
    if (part) part.push(operation);
    else parts.set(name, [operation]);
  }
  return [...parts.values()]
    .map((part) => model.relevant?.(part) ?? part)
    .sort((a, b) => a.length - b.length);
}

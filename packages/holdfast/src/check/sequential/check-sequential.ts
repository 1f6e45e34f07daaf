/**
 * Judges whether a history is sequentially consistent: there is one order of all operations, in which each process
 * finds its own in the order in which it did them.
 *
 * @see L. Lamport, "How to Make a Multiprocessor Computer That Correctly Executes Multiprocess Programs", 1979
 */
import { systemClock } from "../../clock/index.ts";
import { BudgetMeter } from "../budget.ts";
import type { Checker, CheckOptions } from "../checker.ts";
import { shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import { describeOperation, showState } from "../linearizable/describe.ts";
import type { AnyModel } from "../linearizable/model.ts";
import { models } from "../linearizable/models/index.ts";
import { wholeModel } from "../linearizable/whole-model.ts";
import { witnessOperation } from "../linearizable/witness.ts";
import type { CheckResult, Witness, WitnessEdge } from "../verdict.ts";
import { type SequentialResult, searchSequential } from "./search-sequential.ts";

export function checkSequential(
  model: AnyModel,
  operations: readonly Operation[],
  options: CheckOptions = {},
): CheckResult {
  const nowMs = options.nowMs ?? systemClock.monotonicMs;
  const meter = new BudgetMeter(nowMs, options.budget);
  const whole = wholeModel(model, operations);
  const result = searchSequential(whole, operations, meter);
  const common = { model: `sequential-${model.name}`, operations: operations.length };
  if (result.verdict === "ok") return { verdict: "ok", witnesses: [], ...common };
  if (result.verdict === "unknown")
    return { verdict: "unknown", reason: result.reason, witnesses: [], ...common };
  const core = shrinkSequential(whole, operations, new BudgetMeter(nowMs, { timeMs: shrinkMsMax }));
  return { verdict: "illegal", witnesses: [witnessOf(model, whole, result, core)], ...common };
}

const shrinkMsMax = 5_000;
/** Longer histories are shown as far as the longest order comes, not made smaller. */
const shrinkOperationsMax = 500;

/** Forgets outcomes and places of operations, one after the other, while it stays a contradiction. */
function shrinkSequential(
  model: AnyModel,
  operations: readonly Operation[],
  meter: BudgetMeter,
): readonly Operation[] | undefined {
  if (operations.length > shrinkOperationsMax) return undefined;
  let core = [...operations];
  const involved = new Set<Operation>();
  for (let i = operations.length - 1; i >= 0; i--) {
    const operation = operations[i] as Operation;
    if (operation.outcome !== "ok") continue;
    // In a process of its own and of unknown outcome, it may come anywhere or nowhere.
    const loose: Operation = { ...operation, outcome: "info", output: undefined, process: -1 - i };
    const without = core.map((other) => (other === operation ? loose : other));
    const { verdict } = searchSequential(model, without, meter);
    if (verdict === "unknown") return undefined;
    if (verdict === "illegal") core = without;
    else involved.add(operation);
  }
  return operations.filter((operation) => involved.has(operation));
}

function witnessOf(
  model: AnyModel,
  whole: AnyModel,
  { order, next, state }: Extract<SequentialResult, { verdict: "illegal" }>,
  core: readonly Operation[] | undefined,
): Witness {
  const words = (operation: Operation) =>
    `${describeOperation(model, operation)} by process ${operation.process}`;
  const involved = core ?? next;
  const last = order.slice(-6).map(words);
  return {
    anomaly: "nonsequential",
    summary: `There is no order that every process agrees with: ${involved
      .slice(0, 6)
      .map((operation) => describeOperation(model, operation))
      .join(", ")}${involved.length > 6 ? ", …" : ""} cannot all have ended as they did.`,
    steps: [
      ...(core ?? []).map(
        (operation) =>
          `Process ${operation.process} has, at its own place ${operation.callIndex}: ${describeOperation(model, operation)}.`,
      ),
      order.length === 0
        ? "No operation can come first."
        : `The longest order that works ends with ${order.length > last.length ? "… " : ""}${last.join(", then ")}.`,
      `After it the state is ${showState(whole, state)}, and none of what comes next in each process fits: ${next.map(words).join("; ")}.`,
    ],
    operations: involved.map((operation) => witnessOperation(model, operation, true)),
    edges: processEdges(involved),
  };
}

function processEdges(involved: readonly Operation[]): WitnessEdge[] {
  const last = new Map<number, number>();
  return involved.flatMap(({ process }, to) => {
    const from = last.get(process);
    last.set(process, to);
    const why = `process ${shownValue(process)} did one after the other`;
    return from === undefined ? [] : [{ from, to, kind: "process", why }];
  });
}

export const sequentialCheckers: readonly Checker[] = models.map((model) => ({
  name: `sequential-${model.name}`,
  family: "sequential",
  summary: `As ${model.name}, in some order that keeps each process's own; real time does not count.`,
  functions: model.functions,
  check: (operations, options) => checkSequential(model, operations, options),
}));

/** Transactions, judged by a consistency model: infer dependencies, look for circles, see which models they forbid. */
import { systemClock } from "../../clock/index.ts";
import { BudgetMeter } from "../budget.ts";
import type { Checker, CheckOptions } from "../checker.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult, Witness } from "../verdict.ts";
import {
  type ConsistencyModel,
  consistencyModels,
  cycleAnomalies,
  isConsistencyModel,
  isForbidden,
  ruledOutBy,
  variantsOf,
} from "./consistency-models.ts";
import { cycleWitness, findCycles } from "./cycles.ts";
import { GraphBuilder } from "./dependency-graph.ts";
import type { Findings } from "./findings.ts";
import { inferListAppend } from "./list-append.ts";
import { inferRwRegister, type KeyOrder } from "./rw-register.ts";
import { addProcessOrder, addRealtimeOrder } from "./time-order.ts";
import { transactionProblems, transactionsOf, type WriteWord } from "./transaction.ts";

export interface TransactionCheckOptions extends CheckOptions {
  /** Of `rw-register`: what the store promises for each key alone. Default `inferred`: nothing. */
  readonly keyOrder?: KeyOrder;
}

const defaultModel: ConsistencyModel = "strict-serializable";
/** An edge with its reason in memory. */
const edgeBytes = 96;
const microBytes = 160;

export function checkTransactions(
  kind: "list-append" | "rw-register",
  operations: readonly Operation[],
  options: TransactionCheckOptions = {},
): CheckResult {
  const consistency = options.consistency ?? defaultModel;
  if (!isConsistencyModel(consistency))
    throw new RangeError(
      `consistency should be one of ${consistencyModels.join(", ")}, got ${JSON.stringify(consistency)}`,
    );
  const meter = new BudgetMeter(options.nowMs ?? systemClock.monotonicMs, options.budget);
  const transactions = transactionsOf(operations);
  for (const { micros } of transactions.all) meter.keep(micros.length * microBytes);
  const builder = new GraphBuilder();
  const findings =
    kind === "list-append"
      ? inferListAppend(transactions, builder)
      : inferRwRegister(transactions, builder, options.keyOrder);
  const variants = variantsOf(consistency);
  const taken = transactions.all.filter(({ operation }) => operation.outcome !== "fail");
  if (variants.includes("-process")) addProcessOrder(builder, taken);
  if (variants.includes("-realtime")) addRealtimeOrder(builder, taken);
  meter.keep(builder.edges * edgeBytes);
  const graph = builder.build(transactions.all.length);
  const cycles = meter.spent() === undefined ? findCycles(graph, variants, meter) : [];
  const witnesses = [
    ...findings.witnesses,
    ...cycles.map((cycle) => cycleWitness(cycle, graph, transactions, findings)),
  ];
  const anomalies = countsOf(findings, cycles);
  return judged(kind, consistency, witnesses, anomalies, {
    operations: operations.length,
    reason: meter.spent() ?? unclearReason(findings),
  });
}

function judged(
  model: string,
  consistency: ConsistencyModel,
  witnesses: readonly Witness[],
  anomalies: Readonly<Record<string, number>>,
  { operations, reason }: { readonly operations: number; readonly reason: string | undefined },
): CheckResult {
  const forbidden = witnesses.filter(({ anomaly }) => isForbidden(anomaly, consistency)).sort(byPlainness);
  const facts = {
    model,
    operations,
    consistency: {
      asked: consistency,
      anomalies,
      ...ruledOutBy(Object.keys(anomalies), variantsOf(consistency)),
    },
  };
  if (forbidden.length > 0) return { ...facts, verdict: "illegal", witnesses: forbidden };
  if (reason !== undefined) return { ...facts, verdict: "unknown", reason, witnesses: [] };
  return { ...facts, verdict: "ok", witnesses: [] };
}

function countsOf(
  findings: Findings,
  cycles: readonly { readonly anomaly: string }[],
): Record<string, number> {
  const counts = Object.fromEntries(findings.counts);
  for (const { anomaly } of cycles) counts[anomaly] = (counts[anomaly] ?? 0) + 1;
  return counts;
}

function unclearReason({ unclear }: Findings): string | undefined {
  if (unclear.length === 0) return undefined;
  const more = unclear.length > 3 ? `, and ${unclear.length - 3} more keys like it` : "";
  return `${unclear.slice(0, 3).join("; ")}${more}: who wrote what was read cannot be told; write each value once`;
}

/** What one or two transactions show comes before circles, and graver circles before milder ones. */
function byPlainness(a: Witness, b: Witness): number {
  return plainness(a) - plainness(b);
}

function plainness({ anomaly, operations }: Witness): number {
  const base = anomaly.replace(/-(process|realtime)$/, "");
  const rank = (cycleAnomalies as readonly string[]).indexOf(base);
  return (
    (rank + 1) * 1_000 +
    (base === anomaly ? 0 : anomaly.endsWith("-process") ? 100_000 : 200_000) +
    operations.length
  );
}

function checkerOf(name: "list-append" | "rw-register", write: WriteWord, summary: string): Checker {
  return {
    name,
    family: "transactions",
    summary,
    functions: [],
    goOnAfterInfo: true,
    consistency: consistencyModels,
    problems: (operations) => transactionProblems(operations, write),
    check: (operations, options) => checkTransactions(name, operations, options),
  };
}

/** For `--model snapshot-isolation` and the like: which of the two kinds it is, the history says itself. */
function modelCheckerOf(model: ConsistencyModel): Checker {
  const kindOf = (operations: readonly Operation[]) =>
    hasAppend(operations) ? "list-append" : "rw-register";
  return {
    name: model,
    family: "transactions",
    summary: `Transactions of list-append or rw-register, as ${model} allows them.`,
    functions: [],
    goOnAfterInfo: true,
    problems: (operations) => transactionProblems(operations, hasAppend(operations) ? "append" : "w"),
    check: (operations, options) => ({
      ...checkTransactions(kindOf(operations), operations, { ...options, consistency: model }),
      model,
    }),
  };
}

function hasAppend(operations: readonly Operation[]): boolean {
  return operations.some(
    ({ input }) =>
      Array.isArray(input) && input.some((micro) => Array.isArray(micro) && micro[0] === "append"),
  );
}

export const transactionCheckers: readonly Checker[] = [
  checkerOf(
    "list-append",
    "append",
    "Transactions that append to lists and read them, by a consistency model (--consistency, default strict-serializable).",
  ),
  checkerOf(
    "rw-register",
    "w",
    "Transactions that write and read registers, by a consistency model (--consistency, default strict-serializable).",
  ),
  ...consistencyModels.map(modelCheckerOf),
];

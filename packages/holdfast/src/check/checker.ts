/** What every checker is: a name for `holdfast check --model`, a sentence, and a function from a history to a verdict. */
import type { CheckBudget } from "./budget.ts";
import type { Operation } from "./history/event.ts";
import type { HistoryProblem } from "./history/history-error.ts";
import type { CheckResult } from "./verdict.ts";

export interface CheckOptions {
  readonly budget?: CheckBudget;
  /** Milliseconds on a monotonic clock. Default: the system's. */
  readonly nowMs?: () => number;
  /** Of checkers that list `consistency`: which of those models has to hold. */
  readonly consistency?: string;
}

export interface Checker {
  /** As `--model` takes it. */
  readonly name: string;
  /** Under which heading the list shows it. */
  readonly family: CheckerFamily;
  /** One sentence: what the model says. */
  readonly summary: string;
  /** The operations (`f`) that it can judge. A history with any other does not fit. Empty: any. */
  readonly functions: readonly string[];
  /** The consistency models that it can judge by; absent when it is one itself. */
  readonly consistency?: readonly string[];
  /** Whether it can judge a history whose processes go on after an operation of unknown outcome. Default false. */
  readonly goOnAfterInfo?: boolean;
  /** What in the values keeps it from judging them, with the event; absent when any value will do. */
  problems?(operations: readonly Operation[]): readonly HistoryProblem[];
  /** @param operations of client processes, in the order of their invocations */
  check(operations: readonly Operation[], options?: CheckOptions): CheckResult;
}

export const checkerFamilies = [
  "linearizable",
  "sequential",
  "causal",
  "session",
  "transactions",
  "workload",
] as const;

export type CheckerFamily = (typeof checkerFamilies)[number];

/** Every checker that `holdfast check --model` knows, in the order in which it lists them. */

import { causalCheckers } from "./causal/check-causal.ts";
import { sessionCheckers } from "./causal/session-guarantees.ts";
import type { Checker } from "./checker.ts";
import { linearizableCheckers } from "./linearizable/checkers.ts";
import { sequentialCheckers } from "./sequential/check-sequential.ts";
import { transactionCheckers } from "./transactions/check-transactions.ts";
import { workloadCheckers } from "./workloads/checkers.ts";

export const checkers: readonly Checker[] = [
  ...linearizableCheckers,
  ...sequentialCheckers,
  ...causalCheckers,
  ...sessionCheckers,
  ...transactionCheckers,
  ...workloadCheckers,
];

export function findChecker(name: string): Checker | undefined {
  return checkers.find((checker) => checker.name === name);
}

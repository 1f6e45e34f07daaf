/** Every checker that `holdfast check --model` knows, in the order in which it lists them. */
import type { Checker } from "./checker.ts";
import { linearizableCheckers } from "./linearizable/checkers.ts";

export const checkers: readonly Checker[] = [...linearizableCheckers];

export function findChecker(name: string): Checker | undefined {
  return checkers.find((checker) => checker.name === name);
}

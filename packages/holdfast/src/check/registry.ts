/** Every checker that `holdfast check --model` knows, in the order in which it lists them. */
import type { Checker } from "./checker.ts";

export const checkers: readonly Checker[] = [];

export function findChecker(name: string): Checker | undefined {
  return checkers.find((checker) => checker.name === name);
}

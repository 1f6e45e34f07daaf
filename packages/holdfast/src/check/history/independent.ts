/**
 * Jepsen's independent histories: many objects in one, the key in front of every value as `[k v]`. They are
 * recognised when every operation has such a pair, and become keys.
 *
 * A compare-and-set has a pair of its own, `[old new]`, so there the second of the two must be a pair as well.
 * Transactions are vectors of micro-operations and never keyed, whatever they are called.
 */
import type { Operation } from "./event.ts";

export function splitIndependent(operations: readonly Operation[]): readonly Operation[] {
  if (operations.length === 0 || !operations.every(isKeyed)) return operations;
  return operations.map((operation) => {
    const [key, input] = operation.input as [unknown, unknown];
    const output = isPair(operation.output) ? operation.output[1] : undefined;
    return { ...operation, key, input, output };
  });
}

function isKeyed({ f, key, input, output, outcome }: Operation): boolean {
  if (key !== undefined || f === "txn" || !isPair(input) || input.every(isMicro)) return false;
  if (outcome === "ok" && !isPair(output)) return false;
  return f !== "cas" || isPair(input[1]);
}

function isMicro(value: unknown): boolean {
  return Array.isArray(value) && ["r", "w", "append"].includes(value[0]) && value.length >= 2;
}

function isPair(value: unknown): value is [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}

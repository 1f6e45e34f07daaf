/**
 * From recorded operations to transactions. A value is a list of micro-operations: `["append", k, v]`,
 * `["w", k, v]` and `["r", k, v]`. What an `ok` answered counts; of an unknown outcome only the writes count, and
 * only once somebody has seen them; a failed one must not be seen at all.
 */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";
import type { WitnessOperation } from "../verdict.ts";

export type WriteWord = "append" | "w";

export interface Micro {
  readonly kind: "read" | "write";
  /** Number of the key, from 0. */
  readonly key: number;
  /** Of a read of an unknown outcome: `undefined`. */
  readonly value: unknown;
}

export interface Transaction {
  /** Position in `transactions`, and node of the graph. */
  readonly id: number;
  readonly operation: Operation;
  readonly micros: readonly Micro[];
}

export interface Transactions {
  readonly all: readonly Transaction[];
  /** The keys as the history has them, by their numbers. */
  readonly keys: readonly unknown[];
}

export function transactionsOf(operations: readonly Operation[]): Transactions {
  const numbers = new Map<unknown, number>();
  const keys: unknown[] = [];
  const numberOf = (key: unknown) => {
    const name = identity(key);
    let number = numbers.get(name);
    if (number === undefined) {
      number = keys.push(key) - 1;
      numbers.set(name, number);
    }
    return number;
  };
  const all = operations.map((operation, id): Transaction => {
    const known = operation.outcome === "ok";
    const micros = microsOf(operation).map(([word, key, value]): Micro => {
      const read = word === "r";
      return { kind: read ? "read" : "write", key: numberOf(key), value: read && !known ? undefined : value };
    });
    return { id, operation, micros };
  });
  return { all, keys };
}

type RawMicro = readonly [word: string, key: unknown, value: unknown];

function microsOf({ outcome, input, output }: Operation): readonly RawMicro[] {
  return (outcome === "ok" ? output : input) as readonly RawMicro[];
}

/** @returns what keeps these operations from being transactions of this kind */
export function transactionProblems(
  operations: readonly Operation[],
  write: WriteWord,
): readonly HistoryProblem[] {
  const problems: HistoryProblem[] = [];
  for (const operation of operations) {
    const problem = transactionProblem(operation, write);
    if (problem !== undefined)
      problems.push({ problem: `event ${operation.callIndex} (${operation.f}): ${problem}` });
  }
  return problems;
}

function transactionProblem(operation: Operation, write: WriteWord): string | undefined {
  const micros: unknown = microsOf(operation);
  if (!Array.isArray(micros))
    return `a transaction's value is a list of micro-operations such as ["${write}", "x", 1], got ${shownValue(micros)}`;
  for (const micro of micros as unknown[]) {
    if (!Array.isArray(micro) || (micro[0] !== "r" && micro[0] !== write))
      return `a micro-operation is ["r", key, value] or ["${write}", key, value], got ${shownValue(micro)}`;
    if (micro[1] === undefined || micro[1] === null) return `${shownValue(micro)} has no key`;
    const value: unknown = micro[2];
    if (micro[0] === write) {
      if (value === undefined || value === null) return `${shownValue(micro)} writes nothing`;
    } else if (write === "append" && value !== undefined && value !== null && !Array.isArray(value))
      return `a read of list-append answers with a list or nothing, got ${shownValue(micro)}`;
  }
  return undefined;
}

const listedMax = 12;

/** Such as `append x 3, read y [1 2]`. */
export function describeTransaction(transaction: Transaction, keys: readonly unknown[]): string {
  const raw = microsOf(transaction.operation);
  const words = transaction.micros.map(({ kind, key, value }, at) => {
    if (kind === "write")
      return `${raw[at]?.[0] === "append" ? "append" : "write"} ${shownValue(keys[key])} ${shownValue(value)}`;
    const answer = transaction.operation.outcome === "ok" ? ` ${shownRead(value)}` : "";
    return `read ${shownValue(keys[key])}${answer}`;
  });
  return words.join(", ") || "nothing";
}

/** A long list by its beginning and its end. */
export function shownRead(value: unknown): string {
  if (!Array.isArray(value) || value.length <= listedMax) return shownValue(value);
  const some = [...value.slice(0, 4).map(shownValue), "…", ...value.slice(-6).map(shownValue)];
  return `[${some.join(" ")}] (${value.length} elements)`;
}

export function shownTransaction(transaction: Transaction, keys: readonly unknown[]): WitnessOperation {
  const { process, outcome, callIndex, callNs, returnNs } = transaction.operation;
  return {
    process,
    label: describeTransaction(transaction, keys),
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved: true,
  };
}

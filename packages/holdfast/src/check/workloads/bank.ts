/**
 * A bank: money moves between accounts and none is made or lost. Every read sees all accounts at one moment, so it
 * sees the same total, and, unless that is allowed, no balance below zero.
 */
import type { Checker, CheckOptions } from "../checker.ts";
import { shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";
import type { CheckResult } from "../verdict.ts";
import { eachKey } from "./each-key.ts";
import { WorkloadFindings } from "./findings.ts";

export interface BankOptions extends CheckOptions {
  /** What all accounts hold together. Default: what most reads saw. */
  readonly total?: number;
  /** Whether an account may owe. Default false. */
  readonly negativeAllowed?: boolean;
}

type Balances = Readonly<Record<string, unknown>>;

/** Several banks, one for each key, are judged apart. */
export const checkBank = eachKey(judgeBank);

function judgeBank(operations: readonly Operation[], options: BankOptions = {}): CheckResult {
  const findings = new WorkloadFindings("bank");
  const reads = operations.filter(({ f, outcome }) => f === "read" && outcome === "ok");
  const total = options.total ?? commonest(reads.map((read) => sum(balancesOf(read))));
  const accounts = new Set(reads.flatMap((read) => Object.keys(balancesOf(read))));
  for (const read of reads) {
    const balances = balancesOf(read);
    const missing = [...accounts].filter((account) => !Object.hasOwn(balances, account));
    const words = `process ${read.process} read (event ${read.callIndex})`;
    if (missing.length > 0)
      findings.add("missing-account", `What ${words} lacks ${missing.join(", ")}, which other reads have.`, [
        read,
      ]);
    const empty = Object.entries(balances).filter(([, balance]) => typeof balance !== "number");
    if (empty.length > 0) {
      findings.add(
        "nil-balance",
        `What ${words} has no balance for ${empty.map(([name]) => name).join(", ")}.`,
        [read],
      );
      continue;
    }
    if (missing.length === 0 && sum(balances) !== total)
      findings.add("wrong-total", `What ${words} adds up to ${sum(balances)}, and the bank holds ${total}.`, [
        read,
        ...transfersAround(operations, read),
      ]);
    const owing = Object.entries(balances).filter(([, balance]) => (balance as number) < 0);
    if (owing.length > 0 && options.negativeAllowed !== true)
      findings.add(
        "negative-balance",
        `What ${words} has ${owing.map(([name, balance]) => `${name} at ${shownValue(balance)}`).join(", ")}.`,
        [read],
      );
  }
  return findings.result(operations, reads.length === 0 ? "nobody read the accounts" : undefined);
}

function balancesOf({ output }: Operation): Balances {
  return output as Balances;
}

function sum(balances: Balances): number {
  return Object.values(balances).reduce<number>(
    (total, balance) => total + (typeof balance === "number" ? balance : 0),
    0,
  );
}

function commonest(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), [0, 0])[0];
}

/** Transfers that were under way during the read: one of them it saw by half. */
function transfersAround(operations: readonly Operation[], read: Operation): readonly Operation[] {
  return operations
    .filter(
      ({ f, outcome, callIndex, returnIndex }) =>
        f === "transfer" &&
        outcome !== "fail" &&
        callIndex < read.returnIndex &&
        returnIndex > read.callIndex,
    )
    .slice(-5);
}

function problems(operations: readonly Operation[]): readonly HistoryProblem[] {
  return operations
    .filter(
      ({ f, outcome, output }) =>
        f === "read" && outcome === "ok" && (typeof output !== "object" || output === null),
    )
    .map(({ callIndex, output }) => ({
      problem: `event ${callIndex}: a read of a bank answers with the balances of all accounts, such as {"a": 10, "b": 5} or [10, 5], got ${shownValue(output)}`,
    }));
}

export const bankChecker: Checker = {
  name: "bank",
  family: "workload",
  summary: "Transfers between accounts: every read of all of them sees the same total, and none below zero.",
  functions: ["transfer", "read"],
  problems,
  check: checkBank,
};

/** What an inference has found so far: contradictions that need no circle, counted, the first few of each kept. */
import { shownValue } from "../equality.ts";
import type { Witness } from "../verdict.ts";
import { describeTransaction, shownTransaction, type Transaction, type Transactions } from "./transaction.ts";

const keptMax = 3;

export class Findings {
  readonly counts = new Map<string, number>();
  readonly witnesses: Witness[] = [];
  /** Keys that cannot be judged, and why. */
  readonly unclear: string[] = [];
  readonly #transactions: Transactions;

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  /** @param tell the sentence, made only for those that are kept */
  add(anomaly: string, involved: readonly (Transaction | undefined)[], tell: () => string): void {
    const count = (this.counts.get(anomaly) ?? 0) + 1;
    this.counts.set(anomaly, count);
    if (count > keptMax) return;
    const shown = [...new Set(involved.filter((each) => each !== undefined))];
    this.witnesses.push({
      anomaly,
      summary: tell(),
      steps: shown.map((each) => this.step(each)),
      operations: shown.map((each) => shownTransaction(each, this.#transactions.keys)),
      edges: [],
    });
  }

  key(key: number): string {
    return shownValue(this.#transactions.keys[key]);
  }

  step(transaction: Transaction): string {
    const { process, outcome } = transaction.operation;
    const end = { ok: "", fail: ", and failed", info: ", its outcome unknown" }[outcome];
    return `Process ${process}: ${describeTransaction(transaction, this.#transactions.keys)}${end}.`;
  }
}

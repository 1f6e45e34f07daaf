/** Two transactions that read the same version of a key and both wrote it: one of them wrote over what it never saw. */
import { identity, shownValue } from "../equality.ts";
import type { Findings } from "./findings.ts";
import type { Transaction, Transactions } from "./transaction.ts";

/**
 * @param clear whether it is known of the key who wrote what
 * @param versionOf what names the version that a read saw; nothing for the first one
 */
export function lostUpdates(
  { all }: Transactions,
  findings: Findings,
  clear: (key: number) => boolean,
  versionOf: (value: unknown) => unknown,
): void {
  const updates = new Map<number, Map<unknown, { version: unknown; transactions: Transaction[] }>>();
  for (const transaction of all) {
    if (transaction.operation.outcome !== "ok") continue;
    const read = new Map<number, unknown>();
    const done = new Set<number>();
    for (const { kind, key, value } of transaction.micros) {
      if (done.has(key) || !clear(key)) continue;
      if (kind === "read") {
        if (!read.has(key)) read.set(key, versionOf(value));
        continue;
      }
      done.add(key);
      if (!read.has(key)) continue;
      const version = read.get(key);
      const ofKey = updates.get(key) ?? new Map();
      updates.set(key, ofKey);
      const same = ofKey.get(identity(version));
      if (same) same.transactions.push(transaction);
      else ofKey.set(identity(version), { version, transactions: [transaction] });
    }
  }
  for (const [key, versions] of updates) {
    for (const { version, transactions } of versions.values()) {
      if (transactions.length < 2) continue;
      findings.add(
        "lost-update",
        transactions.slice(0, 4),
        () =>
          `${transactions.length} transactions read ${findings.key(key)} while ${version === undefined || version === null ? "nothing was written to it" : `${shownValue(version)} was the newest`}, and all of them wrote it: each but one wrote over an update that it never saw.`,
      );
    }
  }
}

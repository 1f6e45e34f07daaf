/** Who wrote which value to which key. That is known only where no value was written twice. */
import { identity } from "../equality.ts";
import type { Transaction, Transactions } from "./transaction.ts";

export interface Write {
  readonly transaction: Transaction;
  readonly value: unknown;
  /** Whether its transaction wrote the key again later: nobody else should ever see this value. */
  intermediate: boolean;
}

export interface KeyWrites {
  /** By the identity of the value. */
  readonly byValue: ReadonlyMap<unknown, Write>;
  /** A value that was written twice; the key cannot be judged. */
  readonly twice?: unknown;
}

/** @returns for each key, by its number */
export function writersOf({ all, keys }: Transactions): readonly KeyWrites[] {
  const writes = keys.map(() => ({ byValue: new Map<unknown, Write>(), twice: undefined as unknown }));
  for (const transaction of all) {
    const last = new Map<number, Write>();
    for (const { kind, key, value } of transaction.micros) {
      if (kind !== "write") continue;
      const ofKey = writes[key] as (typeof writes)[number];
      const name = identity(value);
      const other = ofKey.byValue.get(name);
      if (other && mayCount(other.transaction) && mayCount(transaction)) ofKey.twice = value;
      const before = last.get(key);
      if (before) before.intermediate = true;
      const write: Write = { transaction, value, intermediate: false };
      last.set(key, write);
      // Tried again with the same value after an abort: whoever read it read the one that was not aborted.
      if (!other || mayCount(transaction)) ofKey.byValue.set(name, write);
    }
  }
  return writes;
}

/** Whether it may have taken effect. */
function mayCount({ operation }: Transaction): boolean {
  return operation.outcome !== "fail";
}

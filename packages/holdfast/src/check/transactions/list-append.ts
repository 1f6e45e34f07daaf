/**
 * Lists that are only appended to: a read shows every version there was before it, so the order of versions need
 * not be guessed. From it follow the dependencies of transactions.
 *
 * @see K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020
 */
import { identity, sameValue, shownValue } from "../equality.ts";
import type { GraphBuilder } from "./dependency-graph.ts";
import { Findings } from "./findings.ts";
import { lostUpdates } from "./lost-update.ts";
import { shownRead, type Transaction, type Transactions } from "./transaction.ts";
import { type KeyWrites, type Write, writersOf } from "./writers.ts";

interface Read {
  readonly transaction: Transaction;
  readonly list: readonly unknown[];
}

/** Adds ww, wr and rw edges to the graph. @returns what is wrong without any circle */
export function inferListAppend(transactions: Transactions, graph: GraphBuilder): Findings {
  const findings = new Findings(transactions);
  const writers = writersOf(transactions);
  const reads: Read[][] = transactions.keys.map(() => []);
  for (const transaction of transactions.all) {
    if (transaction.operation.outcome !== "ok") continue;
    internal(transaction, writers, findings);
    for (const { kind, key, value } of transaction.micros)
      if (kind === "read") reads[key]?.push({ transaction, list: (value ?? []) as readonly unknown[] });
  }
  reads.forEach((ofKey, key) => {
    const writes = writers[key] as KeyWrites;
    if (writes.twice !== undefined)
      findings.unclear.push(`${shownValue(writes.twice)} was appended twice to ${findings.key(key)}`);
    else new KeyInference(key, ofKey, writes, findings, graph).infer();
  });
  const clear = (key: number) => writers[key]?.twice === undefined;
  lostUpdates(transactions, findings, clear, (value) => (value as readonly unknown[] | null)?.at(-1));
  return findings;
}

class KeyInference {
  readonly #key: number;
  readonly #reads: readonly Read[];
  readonly #writes: KeyWrites;
  readonly #findings: Findings;
  readonly #graph: GraphBuilder;

  constructor(
    key: number,
    reads: readonly Read[],
    writes: KeyWrites,
    findings: Findings,
    graph: GraphBuilder,
  ) {
    this.#key = key;
    this.#reads = reads;
    this.#writes = writes;
    this.#findings = findings;
    this.#graph = graph;
  }

  infer(): void {
    const longest = this.#reads.reduce(
      (a, b) => (b.list.length > a.list.length ? b : a),
      this.#reads[0] as Read,
    );
    const order = longest?.list ?? [];
    const seen = new Set(order.map(identity));
    // A list with an element twice, or two lists that do not fit, have no order of versions to go by.
    let usable = seen.size === order.length || this.#duplicate(longest);
    for (const read of this.#reads) usable = this.#judge(read, longest) && usable;
    if (!usable) return;
    this.#dirtyUpdates(longest, order);
    this.#edges(order, seen);
  }

  #duplicate({ transaction, list }: Read): false {
    this.#findings.add(
      "duplicate-elements",
      [transaction],
      () => `A read of ${this.#name} shows an element twice: ${shownRead(list)}.`,
    );
    return false;
  }

  /** @returns whether the read fits into the order of versions */
  #judge(read: Read, longest: Read): boolean {
    const { transaction, list } = read;
    const writerOf = (element: unknown) => this.#writes.byValue.get(identity(element));
    const last = list.length === 0 ? undefined : writerOf(list.at(-1));
    if (last?.intermediate && last.transaction !== transaction)
      this.#findings.add(
        "G1b",
        [last.transaction, transaction],
        () =>
          `Process ${transaction.operation.process} read ${this.#name} as ${shownRead(list)}, a state from the middle of a transaction: its writer appended more after ${shownValue(list.at(-1))}.`,
      );
    // The longest read says the same of all its prefixes, so each element is looked up once.
    if (read === longest) this.#unwritten(read, writerOf);
    if (read === longest) return true;
    for (let at = 0; at < list.length; at++) {
      if (list[at] === longest.list[at] || sameValue(list[at], longest.list[at])) continue;
      this.#unwritten(read, writerOf);
      if (new Set(list.map(identity)).size < list.length) return this.#duplicate(read);
      this.#findings.add(
        "incompatible-order",
        [transaction, longest.transaction],
        () =>
          `${this.#name} was read as ${shownRead(list)} and as ${shownRead(longest.list)}: neither begins with the other, so no single list can have grown through both.`,
      );
      return false;
    }
    return true;
  }

  #unwritten({ transaction, list }: Read, writerOf: (element: unknown) => Write | undefined): void {
    for (const element of list) {
      const writer = writerOf(element)?.transaction;
      const { process } = transaction.operation;
      if (!writer)
        this.#findings.add(
          "unwritten-read",
          [transaction],
          () =>
            `Process ${process} read ${shownValue(element)} in ${this.#name}, which nobody ever appended.`,
        );
      else if (writer.operation.outcome === "fail")
        this.#findings.add(
          "G1a",
          [writer, transaction],
          () =>
            `Process ${process} read ${shownValue(element)} in ${this.#name}, whose transaction was aborted.`,
        );
    }
  }

  #dirtyUpdates(longest: Read, order: readonly unknown[]): void {
    let aborted: Write | undefined;
    for (const element of order) {
      const write = this.#writes.byValue.get(identity(element));
      if (write?.transaction.operation.outcome === "fail") aborted = write;
      else if (aborted && write) {
        const [dirty, update] = [aborted, write];
        this.#findings.add(
          "dirty-update",
          [dirty.transaction, update.transaction, longest.transaction],
          () =>
            `${shownValue(update.value)} was appended to ${this.#name} on top of ${shownValue(dirty.value)}, whose transaction was aborted.`,
        );
        return;
      }
    }
  }

  #edges(order: readonly unknown[], seen: ReadonlySet<unknown>): void {
    const ids = order.map((element) => this.#committed(this.#writes.byValue.get(identity(element))));
    // What committed and was never seen came after all that was seen.
    const unseen = [...this.#writes.byValue].flatMap(([name, { transaction, value }]) =>
      transaction.operation.outcome === "ok" && !seen.has(name) ? [{ id: transaction.id, value }] : [],
    );
    const key = this.#key;
    for (let at = 1; at < order.length; at++) this.#add(ids[at - 1], ids[at], "ww", order[at - 1], order[at]);
    for (const { id, value } of unseen)
      if (order.length > 0) this.#add(ids.at(-1), id, "ww", order.at(-1), value);
    for (const { transaction, list } of this.#reads) {
      const version = list.at(-1);
      if (list.length > 0) this.#add(ids[list.length - 1], transaction.id, "wr", version, version);
      if (list.length < order.length)
        this.#add(transaction.id, ids[list.length], "rw", version, order[list.length]);
      else for (const { id, value } of unseen) this.#graph.add(transaction.id, id, "rw", key, version, value);
    }
  }

  #committed(write: Write | undefined): number | undefined {
    return write && write.transaction.operation.outcome !== "fail" ? write.transaction.id : undefined;
  }

  #add(
    from: number | undefined,
    to: number | undefined,
    kind: "ww" | "wr" | "rw",
    earlier: unknown,
    later: unknown,
  ) {
    if (from !== undefined && to !== undefined) this.#graph.add(from, to, kind, this.#key, earlier, later);
  }

  get #name(): string {
    return this.#findings.key(this.#key);
  }
}

/** A transaction has to see what it appended itself, and what it saw before. */
function internal(transaction: Transaction, writers: readonly KeyWrites[], findings: Findings): void {
  /** What is known of each key: its end, or all of it once it was read. */
  const known = new Map<number, { whole: boolean; list: unknown[] }>();
  transaction.micros.forEach(({ kind, key, value }, at) => {
    const state = known.get(key);
    if (kind === "write") {
      if (state) state.list.push(value);
      else known.set(key, { whole: false, list: [value] });
      return;
    }
    const list = (value ?? []) as readonly unknown[];
    const expected = state?.list ?? [];
    const from = state?.whole ? 0 : list.length - expected.length;
    const fits =
      !state ||
      (from >= 0 &&
        list.length - from === expected.length &&
        expected.every((e, i) => sameValue(e, list[from + i])));
    if (!fits) {
      findings.add(
        "internal",
        [transaction],
        () =>
          `Process ${transaction.operation.process} read ${findings.key(key)} as ${shownRead(list)} in a transaction that had itself left it ${state?.whole ? "as" : "ending in"} ${shownRead(expected)}.`,
      );
    } else if (writers[key]?.twice === undefined) {
      const later = transaction.micros
        .slice(at + 1)
        .filter((micro) => micro.kind === "write" && micro.key === key);
      const future = later.find((micro) => list.some((element) => sameValue(element, micro.value)));
      if (future)
        findings.add(
          "future-read",
          [transaction],
          () =>
            `Process ${transaction.operation.process} read ${shownValue(future.value)} in ${findings.key(key)} before its own transaction appended it.`,
        );
    }
    known.set(key, { whole: true, list: [...list] });
  });
}

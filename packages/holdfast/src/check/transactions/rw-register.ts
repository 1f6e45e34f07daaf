/**
 * Registers, of which a read shows only the newest value: the order of versions is inferred from what has to hold.
 * Nothing comes before the first value; a transaction that read one value and wrote another put the second after
 * the first; and, where the caller says that each key alone is sequential or linearizable, the order of processes
 * or of real time.
 *
 * @see K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020
 */
import { identity, sameValue, shownValue } from "../equality.ts";
import { stronglyConnected } from "./components.ts";
import { GraphBuilder } from "./dependency-graph.ts";
import { Findings } from "./findings.ts";
import { lostUpdates } from "./lost-update.ts";
import { realtimeOrder } from "./time-order.ts";
import type { Transaction, Transactions } from "./transaction.ts";
import { type KeyWrites, writersOf } from "./writers.ts";

/** What may be taken for granted of each key alone: `linearizable` and `sequential` are promises of the store. */
export type KeyOrder = "inferred" | "sequential" | "linearizable";

interface Touch {
  readonly transaction: Transaction;
  /** What it read from others; `undefined` when it read nothing from others. */
  read: { readonly value: unknown } | undefined;
  /** The last value that it wrote. */
  written: { readonly value: unknown } | undefined;
}

/** Adds ww, wr and rw edges to the graph. @returns what is wrong without any circle */
export function inferRwRegister(
  transactions: Transactions,
  graph: GraphBuilder,
  keyOrder: KeyOrder = "inferred",
): Findings {
  const findings = new Findings(transactions);
  const writers = writersOf(transactions);
  const touches: Touch[][] = transactions.keys.map(() => []);
  for (const transaction of transactions.all) {
    if (transaction.operation.outcome === "fail") continue;
    for (const [key, touch] of touchesOf(transaction, findings)) touches[key]?.push(touch);
  }
  touches.forEach((ofKey, key) => {
    const writes = writers[key] as KeyWrites;
    if (writes.twice !== undefined)
      findings.unclear.push(`${shownValue(writes.twice)} was written twice to ${findings.key(key)}`);
    else inferKey(key, ofKey, writes, keyOrder, findings, graph);
  });
  const clear = (key: number) => writers[key]?.twice === undefined;
  lostUpdates(transactions, findings, clear, (value) => value);
  return findings;
}

/** Goes through a transaction once; a read has to show what the transaction itself wrote or read last. */
function touchesOf(transaction: Transaction, findings: Findings): ReadonlyMap<number, Touch> {
  const touches = new Map<number, Touch>();
  const current = new Map<number, unknown>();
  const ok = transaction.operation.outcome === "ok";
  for (const { kind, key, value } of transaction.micros) {
    const touch = touches.get(key) ?? { transaction, read: undefined, written: undefined };
    touches.set(key, touch);
    if (kind === "write") touch.written = { value };
    else if (!ok) continue;
    else if (!current.has(key)) touch.read = { value };
    else if (!sameValue(current.get(key), value))
      findings.add(
        "internal",
        [transaction],
        () =>
          `Process ${transaction.operation.process} read ${findings.key(key)} as ${shownValue(value)} in a transaction that had itself left it at ${shownValue(current.get(key))}.`,
      );
    current.set(key, value);
  }
  return touches;
}

function inferKey(
  key: number,
  touches: readonly Touch[],
  { byValue }: KeyWrites,
  keyOrder: KeyOrder,
  findings: Findings,
  graph: GraphBuilder,
): void {
  const name = findings.key(key);
  const readers = new Map<unknown, Transaction[]>();
  for (const { transaction, read } of touches) {
    if (!read) continue;
    const version = identity(read.value);
    const same = readers.get(version);
    if (same) same.push(transaction);
    else readers.set(version, [transaction]);
    if (version === null) continue;
    const write = byValue.get(version);
    const words = `Process ${transaction.operation.process} read ${name} as ${shownValue(read.value)}`;
    if (!write) findings.add("unwritten-read", [transaction], () => `${words}, which nobody ever wrote.`);
    else if (write.transaction.operation.outcome === "fail")
      findings.add("G1a", [write.transaction, transaction], () => `${words}, whose transaction was aborted.`);
    else if (write.transaction === transaction)
      findings.add("future-read", [transaction], () => `${words} before its own transaction wrote it.`);
    else if (write.intermediate)
      findings.add(
        "G1b",
        [write.transaction, transaction],
        () => `${words}, a value from the middle of a transaction: its writer wrote ${name} again.`,
      );
    if (write && write.transaction.operation.outcome !== "fail")
      graph.add(write.transaction.id, transaction.id, "wr", key, read.value, read.value);
  }
  const order = versionOrder(touches, byValue, readers, keyOrder);
  const cycle = order.cyclic;
  if (cycle) {
    const involved = cycle.map((version) => byValue.get(version)?.transaction);
    const values = cycle.map((version) => shownValue(version === null ? null : byValue.get(version)?.value));
    findings.add(
      "cyclic-versions",
      [...involved, ...cycle.flatMap((version) => readers.get(version)?.slice(0, 1) ?? [])],
      () => `The values of ${name} have to follow each other in a circle: ${values.join(", ")}.`,
    );
    return;
  }
  for (const [earlier, later] of order.edges) {
    const writer = byValue.get(later);
    if (!writer) continue;
    const before = byValue.get(earlier);
    const value = before?.value ?? null;
    if (before) graph.add(before.transaction.id, writer.transaction.id, "ww", key, value, writer.value);
    for (const reader of readers.get(earlier) ?? [])
      graph.add(reader.id, writer.transaction.id, "rw", key, value, writer.value);
  }
}

interface VersionOrder {
  readonly edges: readonly (readonly [earlier: unknown, later: unknown])[];
  readonly cyclic: readonly unknown[] | undefined;
}

function versionOrder(
  touches: readonly Touch[],
  byValue: KeyWrites["byValue"],
  readers: ReadonlyMap<unknown, readonly Transaction[]>,
  keyOrder: KeyOrder,
): VersionOrder {
  /** Versions that count: those that somebody committed, or was seen to have committed. */
  const isVersion = (version: unknown) => {
    const write = byValue.get(version);
    if (!write || write.intermediate) return false;
    const { outcome } = write.transaction.operation;
    return outcome === "ok" || (outcome === "info" && readers.has(version));
  };
  const edges: [unknown, unknown][] = [];
  const followed = new Set<unknown>();
  const counts = (version: unknown) => version === null || isVersion(version);
  const follow = (earlier: unknown, later: unknown) => {
    if (earlier === later || !counts(earlier) || !counts(later)) return;
    edges.push([earlier, later]);
    followed.add(later);
  };
  for (const { read, written } of touches)
    if (read && written) follow(identity(read.value), identity(written.value));
  if (keyOrder !== "inferred") {
    for (const [before, after] of orderOf(touches, keyOrder)) {
      const earlier = before.written ?? before.read;
      const later = after.read ?? after.written;
      if (earlier && later) follow(identity(earlier.value), identity(later.value));
    }
  }
  for (const version of byValue.keys())
    if (isVersion(version) && !followed.has(version)) edges.push([null, version]);
  return { edges, cyclic: cycleOf(edges) };
}

function* orderOf(
  touches: readonly Touch[],
  keyOrder: "sequential" | "linearizable",
): Generator<[Touch, Touch]> {
  const known = touches.filter(({ transaction }) => transaction.operation.outcome === "ok");
  if (keyOrder === "sequential") {
    const last = new Map<number, Touch>();
    for (const touch of known) {
      const { process } = touch.transaction.operation;
      const before = last.get(process);
      if (before) yield [before, touch];
      last.set(process, touch);
    }
    return;
  }
  const byId = new Map(known.map((touch) => [touch.transaction.id, touch]));
  for (const [before, after] of realtimeOrder(known.map(({ transaction }) => transaction)))
    yield [byId.get(before) as Touch, byId.get(after) as Touch];
}

function cycleOf(edges: readonly (readonly [unknown, unknown])[]): readonly unknown[] | undefined {
  const versions = [...new Set(edges.flat())];
  const numbers = new Map(versions.map((version, number) => [version, number]));
  const graph = new GraphBuilder();
  for (const [a, b] of edges) graph.add(numbers.get(a) as number, numbers.get(b) as number, "ww");
  const [component] = stronglyConnected(graph.build(versions.length), -1).cyclic;
  return component?.map((number) => versions[number]).reverse();
}

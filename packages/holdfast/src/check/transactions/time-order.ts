/** What clients could tell from outside: the order of each process, and which answer came before which question. */
import type { GraphBuilder } from "./dependency-graph.ts";
import type { Transaction } from "./transaction.ts";

/**
 * What is of unknown outcome comes after the rest of its process, and before nothing: it may still be under way when
 * the process goes on.
 *
 * @param transactions in the order of their invocations, without failed ones
 */
export function addProcessOrder(graph: GraphBuilder, transactions: readonly Transaction[]): void {
  const last = new Map<number, number>();
  for (const { id, operation } of transactions) {
    const before = last.get(operation.process);
    if (before !== undefined) graph.add(before, id, "process");
    if (operation.outcome === "ok") last.set(operation.process, id);
  }
}

/**
 * Only what does not follow from the rest: an edge leads from each transaction of the frontier, and whoever ends
 * takes the place of those that it followed. The frontier is as wide as the history was concurrent, so the edges
 * are not quadratic.
 */
export function addRealtimeOrder(graph: GraphBuilder, transactions: readonly Transaction[]): void {
  for (const [before, after] of realtimeOrder(transactions)) graph.add(before, after, "realtime");
}

/** @param transactions in the order of their invocations */
export function* realtimeOrder(
  transactions: readonly Transaction[],
): Generator<[before: number, after: number]> {
  const ends = transactions
    .filter(({ operation }) => Number.isFinite(operation.returnIndex))
    .sort((a, b) => a.operation.returnIndex - b.operation.returnIndex);
  const frontier = new Set<number>();
  const followed = new Map<number, readonly number[]>();
  let at = 0;
  for (const { id, operation } of transactions) {
    for (let end = ends[at]; end && end.operation.returnIndex < operation.callIndex; end = ends[++at]) {
      for (const covered of followed.get(end.id) ?? []) frontier.delete(covered);
      followed.delete(end.id);
      frontier.add(end.id);
    }
    for (const before of frontier) yield [before, id];
    followed.set(id, [...frontier]);
  }
}

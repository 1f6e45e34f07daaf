/** Circles of dependencies, by what they are made of, and in words. */
import type { BudgetMeter } from "../budget.ts";
import { shownValue } from "../equality.ts";
import type { Witness, WitnessEdge } from "../verdict.ts";
import { type Components, stronglyConnected } from "./components.ts";
import { cycleAnomalies, type Variant } from "./consistency-models.ts";
import { type CycleRule, CycleSearch } from "./cycle-search.ts";
import { type DependencyGraph, dependencyBits, edgeBits, edgeKind } from "./dependency-graph.ts";
import type { Findings } from "./findings.ts";
import { shownTransaction, type Transaction, type Transactions } from "./transaction.ts";

const { ww, wr, rw, process, realtime } = edgeBits;
const extraBits: Readonly<Record<Variant, number>> = { "": 0, "-process": process, "-realtime": realtime };

export interface FoundCycle {
  readonly anomaly: string;
  readonly edges: readonly number[];
}

/** Looks for each kind of circle. @returns one of each, the shortest found; ends early once the budget is spent */
export function findCycles(
  graph: DependencyGraph,
  variants: readonly Variant[],
  meter: BudgetMeter,
): FoundCycle[] {
  const found = new Map<string, FoundCycle>();
  let search: CycleSearch | undefined;
  for (const variant of variants) {
    const extra = extraBits[variant];
    const all = stronglyConnected(graph, dependencyBits | extra);
    if (all.cyclic.length === 0) continue;
    search ??= new CycleSearch(graph, meter);
    for (const base of cycleAnomalies) {
      const rule = rules[base](extra);
      const components: Components =
        (rule.rest & rw) !== 0 || rule.first === rw ? all : stronglyConnected(graph, rule.first | rule.rest);
      const edges = search.shortest(components, rule);
      if (!edges) continue;
      const kind = kindOfCycle(graph, edges);
      // The order of a process is also one of real time: the same circle need not be told twice.
      const told = variant === "-realtime" ? found.get(`${kind}-process`) : undefined;
      if (found.has(kind + variant) || (told && sameNodes(graph, told.edges, edges))) continue;
      found.set(kind + variant, { anomaly: kind + variant, edges });
    }
  }
  return [...found.values()];
}

function sameNodes(graph: DependencyGraph, a: readonly number[], b: readonly number[]): boolean {
  const nodes = new Set(a.map((edge) => graph.from[edge]));
  return a.length === b.length && b.every((edge) => nodes.has(graph.from[edge]));
}

/** With extra edges, at least one has to be part of the circle: without, it has a plainer name. */
const rules: Readonly<Record<(typeof cycleAnomalies)[number], (extra: number) => CycleRule>> = {
  G0: (extra) => ({ first: extra || ww, rest: ww | extra }),
  G1c: (extra) => ({ first: wr, rest: ww | wr | extra, need: extra }),
  "G-single": (extra) => ({ first: rw, rest: ww | wr | extra, need: extra }),
  "G-nonadjacent": (extra) => ({ first: rw, rest: dependencyBits | extra, apart: true, need: extra }),
  "G2-item": (extra) => ({ first: rw, rest: dependencyBits | extra, need: extra }),
};

/** The gravest name that fits. */
function kindOfCycle(graph: DependencyGraph, edges: readonly number[]): (typeof cycleAnomalies)[number] {
  const bits = edges.map((edge) => graph.bits[edge] as number);
  const count = bits.filter((bit) => bit === rw).length;
  if (count === 0) return bits.includes(wr) ? "G1c" : "G0";
  if (count === 1) return "G-single";
  const adjacent = bits.some((bit, at) => bit === rw && bits[(at + 1) % bits.length] === rw);
  return adjacent ? "G2-item" : "G-nonadjacent";
}

const meanings: Readonly<Record<(typeof cycleAnomalies)[number], string>> = {
  G0: "writes that interleave",
  G1c: "information that flows in a circle",
  "G-single": "a read that missed a write, while its transaction knew of what came after it",
  "G-nonadjacent": "reads that missed writes, none next to another",
  "G2-item": "reads that missed each other's writes",
};

export function cycleWitness(
  { anomaly, edges: found }: FoundCycle,
  graph: DependencyGraph,
  transactions: Transactions,
  findings: Findings,
): Witness {
  const edges = fromTheFirst(graph, found);
  const members = edges.map((edge) => transactions.all[graph.from[edge] as number] as Transaction);
  const shown = [...new Set(members)].sort((a, b) => a.operation.callIndex - b.operation.callIndex);
  const nameOf = (transaction: Transaction) => `T${shown.indexOf(transaction) + 1}`;
  const path = [...members, members[0] as Transaction].map(nameOf).join(" → ");
  const base = kindOfCycle(graph, edges);
  const witnessEdges = edges.map((edge): WitnessEdge => {
    const from = transactions.all[graph.from[edge] as number] as Transaction;
    const to = transactions.all[graph.to[edge] as number] as Transaction;
    return {
      from: shown.indexOf(from),
      to: shown.indexOf(to),
      kind: edgeKind(graph, edge),
      why: why(graph, edge, nameOf(from), nameOf(to), findings),
    };
  });
  return {
    anomaly,
    summary: `${shown.length} transactions each have to come before the next, in a circle, ${path}: ${meanings[base]}.`,
    steps: [
      ...shown.map(
        (each) =>
          `${nameOf(each)} is process ${each.operation.process}: ${findings.step(each).replace(/^Process [^:]*: /, "")}`,
      ),
      ...witnessEdges.map(
        ({ from, to, kind, why }) => `T${from + 1} has to come before T${to + 1} (${kind}): ${why}.`,
      ),
    ],
    operations: shown.map((each) => {
      const operation = shownTransaction(each, transactions.keys);
      return { ...operation, label: `${nameOf(each)}: ${operation.label}` };
    }),
    edges: witnessEdges,
  };
}

/** The same circle, told from the transaction that was invoked first. */
function fromTheFirst(graph: DependencyGraph, edges: readonly number[]): readonly number[] {
  const starts = edges.map((edge) => graph.from[edge] as number);
  const first = starts.indexOf(Math.min(...starts));
  return [...edges.slice(first), ...edges.slice(0, first)];
}

function why(graph: DependencyGraph, edge: number, from: string, to: string, findings: Findings): string {
  const key = () => findings.key(graph.key[edge] as number);
  const earlier = shownValue(graph.earlier[edge]);
  const later = shownValue(graph.later[edge]);
  switch (edgeKind(graph, edge)) {
    case "ww":
      return `${from} wrote ${earlier} to ${key()}, and ${to} wrote ${later} after it`;
    case "wr":
      return `${to} read ${earlier} in ${key()}, which ${from} wrote`;
    case "rw":
      return `${from} read ${key()} ${earlier === "nothing" ? "while nothing was in it" : `with ${earlier} as the newest`}, and so before ${to} wrote ${later}`;
    case "process":
      return `the same process did ${from} first and then ${to}`;
    case "realtime":
      return `${from} had ended before ${to} began`;
  }
}

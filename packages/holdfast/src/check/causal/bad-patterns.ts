/**
 * Causal consistency by the patterns that every violation contains.
 *
 * @see A. Bouajjani, C. Enea, R. Guerraoui, J. Hamza, "On Verifying Causal Consistency", POPL 2017, arXiv 1611.00580
 */
import type { BudgetMeter } from "../budget.ts";
import type { Witness } from "../verdict.ts";
import { CausalOrder, type ExtraEdge, tick } from "./causal-order.ts";
import { accessWitness, accessWords, type Step, shortestPath } from "./path.ts";
import { type Access, lastBefore, type RegisterHistory } from "./register-history.ts";

/** CyclicCO, WriteCOInitRead, ThinAirRead, WriteCORead: what even the weakest causal consistency excludes. */
export function weakPatterns(history: RegisterHistory, order: CausalOrder, meter: BudgetMeter): Witness[] {
  const { accesses, writes, thinAir } = history;
  const first = thinAir[0];
  if (first) {
    const summary = `${accessWords(first)} returned a value that nobody wrote.`;
    return [accessWitness(history, "ThinAirRead", summary, [], [first])];
  }
  if (order.cyclic.length > 0)
    return [cycleWitness(history, "CyclicCO", order.cyclic, [], "cause and effect go in a circle")];
  for (const read of accesses) {
    if (read.kind !== "read") continue;
    tick(meter);
    const source = read.source < 0 ? undefined : (accesses[read.source] as Access);
    for (const ofSession of writes[read.key] ?? []) {
      if (ofSession.length === 0) continue;
      const session = (ofSession[0] as Access).session;
      // A read counts itself in its own process; a write at its place is after it.
      const write = lastBefore(ofSession, order.pastOf(read, session));
      if (!write || write === source) continue;
      if (!source) {
        const summary = `${accessWords(read)} found nothing, although ${accessWords(write)} came causally before it.`;
        const path = shortestPath(history, write.id, read.id) ?? [];
        return [accessWitness(history, "WriteCOInitRead", summary, path)];
      }
      if (!order.before(source, write)) continue;
      const summary = `${accessWords(read)} returned a value that ${accessWords(write)} had overwritten causally before.`;
      const path = [
        ...(shortestPath(history, source.id, write.id) ?? []),
        ...(shortestPath(history, write.id, read.id) ?? []),
      ];
      return [accessWitness(history, "WriteCORead", summary, path)];
    }
  }
  return [];
}

/** CyclicCF: the orders of writes that reads prove, together, go in a circle. */
export function convergencePatterns(
  history: RegisterHistory,
  order: CausalOrder,
  meter: BudgetMeter,
): Witness[] {
  const conflicts: ExtraEdge[] = [];
  for (const read of history.accesses) {
    if (read.kind !== "read" || read.source < 0) continue;
    tick(meter);
    conflicts.push(...overwritten(history, order, read));
  }
  const { cyclic } = new CausalOrder(history, meter, conflicts);
  if (cyclic.length === 0) return [];
  return [
    cycleWitness(
      history,
      "CyclicCF",
      cyclic,
      conflicts,
      "the processes disagree about which write is the last",
    ),
  ];
}

/** WriteHBInitRead and CyclicHB: no order of all writes fits what one process read, in the order in which it did. */
export function memoryPatterns(history: RegisterHistory, causal: CausalOrder, meter: BudgetMeter): Witness[] {
  for (const session of history.sessions) {
    const reads = session.filter(({ kind }) => kind === "read");
    const extra: ExtraEdge[] = [];
    const known = new Set<string>();
    let order = causal;
    for (let grew = true; grew; ) {
      grew = false;
      for (const read of reads) {
        tick(meter);
        if (read.source < 0) {
          const write = earlierWrite(history, order, read);
          if (!write) continue;
          const summary = `${accessWords(read)} found nothing, although process ${read.operation.process} must have seen ${accessWords(write)} before.`;
          return [
            accessWitness(
              history,
              "WriteHBInitRead",
              summary,
              shortestPath(history, write.id, read.id, extra) ?? [],
            ),
          ];
        }
        for (const edge of overwritten(history, order, read)) {
          const name = `${edge.from} ${edge.to}`;
          const [from, to] = [history.accesses[edge.from] as Access, history.accesses[edge.to] as Access];
          if (known.has(name) || order.before(from, to)) continue;
          known.add(name);
          extra.push(edge);
          grew = true;
        }
      }
      if (!grew) break;
      if (order !== causal) order.release();
      order = new CausalOrder(history, meter, extra);
      if (order.cyclic.length === 0) continue;
      const said = `no order of the writes fits what process ${session[0]?.operation.process} read`;
      return [cycleWitness(history, "CyclicHB", order.cyclic, extra, said)];
    }
    if (order !== causal) order.release();
  }
  return [];
}

/** The writes that must be older than the one that `read` returned: it came after them, and does not show them. */
function overwritten({ accesses, writes }: RegisterHistory, order: CausalOrder, read: Access): ExtraEdge[] {
  const edges: ExtraEdge[] = [];
  for (const ofSession of writes[read.key] ?? []) {
    const first = ofSession[0];
    if (!first) continue;
    const write = lastBefore(ofSession, order.pastOf(read, first.session));
    if (!write || write.id === read.source) continue;
    const { process } = read.operation;
    const why = `process ${process} had seen both and read the other (event ${read.operation.callIndex})`;
    edges.push({ from: write.id, to: (accesses[read.source] as Access).id, why });
  }
  return edges;
}

function earlierWrite({ writes }: RegisterHistory, order: CausalOrder, read: Access): Access | undefined {
  for (const ofSession of writes[read.key] ?? []) {
    const first = ofSession[0];
    const write = first && lastBefore(ofSession, order.pastOf(read, first.session));
    if (write) return write;
  }
  return undefined;
}

/** The shortest circle through one of the accesses that are on circles or behind them. */
function cycleWitness(
  history: RegisterHistory,
  anomaly: string,
  cyclic: readonly number[],
  extra: readonly ExtraEdge[],
  said: string,
): Witness {
  const among = new Set(cyclic);
  let best: Step[] | undefined;
  for (const id of cyclic.slice(0, 200)) {
    const path = shortestPath(history, id, id, extra, (other) => among.has(other));
    if (path && (!best || path.length < best.length)) best = path;
  }
  return accessWitness(history, anomaly, `${said.charAt(0).toUpperCase()}${said.slice(1)}.`, best ?? []);
}

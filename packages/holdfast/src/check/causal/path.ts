/** Shortest ways through the causal order, so that a contradiction can be followed step by step. */
import { describeOperation } from "../linearizable/describe.ts";
import { registerModel } from "../linearizable/models/register.ts";
import { witnessOperation } from "../linearizable/witness.ts";
import type { Witness, WitnessEdge } from "../verdict.ts";
import type { ExtraEdge } from "./causal-order.ts";
import type { Access, RegisterHistory } from "./register-history.ts";

export interface Step {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
  readonly why: string;
}

/** @returns the steps from `a` to `b`; empty when they are the same; `undefined` when there is no way */
export function shortestPath(
  history: RegisterHistory,
  a: number,
  b: number,
  extra: readonly ExtraEdge[] = [],
  allowed: (id: number) => boolean = () => true,
): Step[] | undefined {
  const { accesses, sessions } = history;
  const readers = new Map<number, number[]>();
  for (const { id, source } of accesses) {
    if (source < 0) continue;
    readers.set(source, [...(readers.get(source) ?? []), id]);
  }
  const cameBy = new Map<number, Step>();
  const queue = [a];
  // The first step is always taken, so that a way from an access back to itself can be found.
  for (let at = 0; at < queue.length; at++) {
    const from = queue[at] as number;
    const access = accesses[from] as Access;
    const steps: Step[] = [];
    const next = sessions[access.session]?.[access.place + 1];
    if (next) {
      const why = `process ${access.operation.process} did one after the other`;
      steps.push({ from, to: next.id, kind: "process", why });
    }
    for (const to of readers.get(from) ?? []) {
      const { operation } = accesses[to] as Access;
      steps.push({
        from,
        to,
        kind: "wr",
        why: `process ${operation.process} read what process ${access.operation.process} wrote`,
      });
    }
    for (const edge of extra) if (edge.from === from) steps.push({ ...edge, kind: "version" });
    for (const step of steps) {
      if (cameBy.has(step.to) || !allowed(step.to)) continue;
      cameBy.set(step.to, step);
      if (step.to === b) return wayBack(cameBy, a, b);
      queue.push(step.to);
    }
  }
  return undefined;
}

function wayBack(cameBy: ReadonlyMap<number, Step>, a: number, b: number): Step[] {
  const steps: Step[] = [];
  let at = b;
  do {
    const step = cameBy.get(at) as Step;
    steps.unshift(step);
    at = step.from;
  } while (at !== a);
  return steps;
}

/** A witness of accesses and the steps between them. */
export function accessWitness(
  history: RegisterHistory,
  anomaly: string,
  summary: string,
  steps: readonly Step[],
  alone: readonly Access[] = [],
): Witness {
  const ids = new Set([...alone.map(({ id }) => id), ...steps.flatMap(({ from, to }) => [from, to])]);
  // The two accesses of a compare-and-set are one operation.
  const shown = [...new Set([...ids].map((id) => (history.accesses[id] as Access).operation))].sort(
    (a, b) => a.callIndex - b.callIndex,
  );
  const placeOf = (id: number) => shown.indexOf((history.accesses[id] as Access).operation);
  const words = (id: number) => accessWords(history.accesses[id] as Access);
  const edges: WitnessEdge[] = steps.map(({ from, to, kind, why }) => ({
    from: placeOf(from),
    to: placeOf(to),
    kind,
    why,
  }));
  return {
    anomaly,
    summary,
    steps: [
      ...alone.map((access) => `${accessWords(access)}.`),
      ...steps.map(({ from, to, why }) => `${words(from)} comes before ${words(to)}: ${why}.`),
    ],
    operations: shown.map((operation) => witnessOperation(model, operation, true)),
    edges: edges.filter(({ from, to }) => from !== to),
  };
}

const model = registerModel();

export function accessWords({ operation }: Access): string {
  return `${describeOperation(model, operation)} by process ${operation.process} (event ${operation.callIndex})`;
}

/**
 * The shortest circle that begins with an edge of one kind and goes on with edges of others: breadth first, over
 * nodes paired with what matters of the way so far (was the last edge rw, was a required kind met).
 */
import type { BudgetMeter } from "../budget.ts";
import type { Components } from "./components.ts";
import { type DependencyGraph, edgeBits } from "./dependency-graph.ts";

export interface CycleRule {
  /** Kinds of the edge that it begins with. */
  readonly first: number;
  /** Kinds of all others. */
  readonly rest: number;
  /** No two rw edges next to each other. */
  readonly apart?: boolean;
  /** At least one of these among the others. */
  readonly need?: number;
}

/** Once a circle is known, so many steps may still go into finding a shorter one. */
const stepsAfterFound = 500_000;
const lastRw = 1;
const met = 2;

export class CycleSearch {
  readonly #graph: DependencyGraph;
  readonly #meter: BudgetMeter;
  readonly #seen: Int32Array;
  readonly #byEdge: Int32Array;
  readonly #before: Int32Array;
  readonly #queue: Int32Array;
  #turn = 0;
  #steps = 0;

  constructor(graph: DependencyGraph, meter: BudgetMeter) {
    this.#graph = graph;
    this.#meter = meter;
    const states = graph.nodes * 4;
    meter.keep(states * 16);
    this.#seen = new Int32Array(states);
    this.#byEdge = new Int32Array(states);
    this.#before = new Int32Array(states);
    this.#queue = new Int32Array(states);
  }

  /** @returns the edges of the shortest circle found in these components; `undefined` when there is none, or the budget is spent */
  shortest(components: Components, rule: CycleRule): readonly number[] | undefined {
    const { first, bits, from, to } = this.#graph;
    let best: readonly number[] | undefined;
    let foundAt = 0;
    for (const members of components.cyclic) {
      for (const node of members) {
        for (let edge = first[node] as number; edge < (first[node + 1] as number); edge++) {
          if (((bits[edge] as number) & rule.first) === 0) continue;
          if (components.of[to[edge] as number] !== components.of[from[edge] as number]) continue;
          if (best && (best.length === 2 || this.#steps - foundAt > stepsAfterFound)) return best;
          if (this.#meter.spent() !== undefined) return best;
          const shorter = this.#from(edge, components.of, rule, best?.length ?? Number.POSITIVE_INFINITY);
          if (!shorter) continue;
          if (!best) foundAt = this.#steps;
          best = shorter;
        }
      }
    }
    return best;
  }

  #from(
    start: number,
    component: Int32Array,
    rule: CycleRule,
    shorterThan: number,
  ): readonly number[] | undefined {
    const { first, bits, from, to } = this.#graph;
    const goal = from[start] as number;
    const inside = component[goal];
    const turn = ++this.#turn;
    const need = rule.need ?? 0;
    const startFlags = (bits[start] === edgeBits.rw && rule.apart ? lastRw : 0) | (need === 0 ? met : 0);
    const startState = (to[start] as number) * 4 + startFlags;
    let head = 0;
    let tail = 0;
    let levelEnd = 1;
    let length = 1;
    this.#queue[tail++] = startState;
    this.#seen[startState] = turn;
    this.#before[startState] = -1;
    this.#byEdge[startState] = start;
    while (head < tail) {
      if (head === levelEnd) {
        levelEnd = tail;
        length++;
      }
      if (length + 1 >= shorterThan || this.#meter.spent() !== undefined) return undefined;
      const state = this.#queue[head++] as number;
      this.#steps++;
      const node = state >> 2;
      const flags = state & 3;
      for (let edge = first[node] as number; edge < (first[node + 1] as number); edge++) {
        const kind = bits[edge] as number;
        if ((kind & rule.rest) === 0 || component[to[edge] as number] !== inside) continue;
        const rw = rule.apart === true && kind === edgeBits.rw;
        if (rw && (flags & lastRw) !== 0) continue;
        const target = to[edge] as number;
        const reached = target * 4 + ((rw ? lastRw : 0) | (flags & met) | ((kind & need) === 0 ? 0 : met));
        if (this.#seen[reached] === turn) continue;
        this.#seen[reached] = turn;
        this.#before[reached] = state;
        this.#byEdge[reached] = edge;
        if (target === goal && (reached & met) !== 0 && (reached & lastRw) === 0) return this.#path(reached);
        this.#queue[tail++] = reached;
      }
    }
    return undefined;
  }

  #path(end: number): readonly number[] {
    const edges: number[] = [];
    for (let state = end; state !== -1; state = this.#before[state] as number)
      edges.push(this.#byEdge[state] as number);
    return edges.reverse();
  }
}

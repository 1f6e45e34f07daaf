/**
 * Strongly connected components: every circle lies within one. Iterative, because a path may be as long as the
 * history.
 *
 * @see R. Tarjan, "Depth-First Search and Linear Graph Algorithms", 1972
 */
import type { DependencyGraph } from "./dependency-graph.ts";

export interface Components {
  /** Number of the component of each node. */
  readonly of: Int32Array;
  /** The nodes of those components that have more than one. */
  readonly cyclic: readonly (readonly number[])[];
}

/** @param mask the kinds of edges that count */
export function stronglyConnected(graph: DependencyGraph, mask: number): Components {
  const { nodes, first, to, bits } = graph;
  const of = new Int32Array(nodes).fill(-1);
  const order = new Int32Array(nodes).fill(-1);
  const low = new Int32Array(nodes);
  const next = first.slice(0, nodes);
  const stack = new Int32Array(nodes);
  const path = new Int32Array(nodes);
  const cyclic: number[][] = [];
  let visited = 0;
  let components = 0;
  let stacked = 0;
  for (let root = 0; root < nodes; root++) {
    if (order[root] !== -1) continue;
    let depth = 0;
    path[0] = root;
    order[root] = low[root] = visited++;
    stack[stacked++] = root;
    while (depth >= 0) {
      const node = path[depth] as number;
      const edge = next[node] as number;
      if (edge < (first[node + 1] as number)) {
        next[node] = edge + 1;
        if (((bits[edge] as number) & mask) === 0) continue;
        const target = to[edge] as number;
        if (order[target] === -1) {
          order[target] = low[target] = visited++;
          stack[stacked++] = target;
          path[++depth] = target;
        } else if (of[target] === -1) low[node] = Math.min(low[node] as number, order[target] as number);
        continue;
      }
      depth--;
      if (depth >= 0) {
        const parent = path[depth] as number;
        low[parent] = Math.min(low[parent] as number, low[node] as number);
      }
      if (low[node] !== order[node]) continue;
      const members: number[] = [];
      for (;;) {
        const member = stack[--stacked] as number;
        of[member] = components;
        members.push(member);
        if (member === node) break;
      }
      components++;
      if (members.length > 1) cyclic.push(members);
    }
  }
  return { of, cyclic };
}

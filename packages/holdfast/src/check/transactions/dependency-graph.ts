/**
 * Which transaction has to come before which, and why. Millions of edges, so they lie in typed arrays, sorted by
 * where they begin.
 */

export const edgeBits = { ww: 1, wr: 2, rw: 4, process: 8, realtime: 16 } as const;

export type EdgeKind = keyof typeof edgeBits;

export const dependencyBits = edgeBits.ww | edgeBits.wr | edgeBits.rw;

export class GraphBuilder {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #bits: number[] = [];
  readonly #key: number[] = [];
  readonly #earlier: unknown[] = [];
  readonly #later: unknown[] = [];

  get edges(): number {
    return this.#from.length;
  }

  /** @param earlier the version that the edge comes from, and `later` the one that it leads to */
  add(from: number, to: number, kind: EdgeKind, key = -1, earlier?: unknown, later?: unknown): void {
    if (from === to) return;
    this.#from.push(from);
    this.#to.push(to);
    this.#bits.push(edgeBits[kind]);
    this.#key.push(key);
    this.#earlier.push(earlier);
    this.#later.push(later);
  }

  build(nodes: number): DependencyGraph {
    const edges = this.#from.length;
    const first = new Int32Array(nodes + 1);
    for (const from of this.#from) (first[from + 1] as number)++;
    for (let node = 0; node < nodes; node++) (first[node + 1] as number) += first[node] as number;
    const next = first.slice();
    const graph: DependencyGraph = {
      nodes,
      first,
      from: new Int32Array(edges),
      to: new Int32Array(edges),
      bits: new Uint8Array(edges),
      key: new Int32Array(edges),
      earlier: new Array(edges),
      later: new Array(edges),
    };
    for (let edge = 0; edge < edges; edge++) {
      const from = this.#from[edge] as number;
      const at = (next[from] as number)++;
      graph.from[at] = from;
      graph.to[at] = this.#to[edge] as number;
      graph.bits[at] = this.#bits[edge] as number;
      graph.key[at] = this.#key[edge] as number;
      graph.earlier[at] = this.#earlier[edge];
      graph.later[at] = this.#later[edge];
    }
    return graph;
  }
}

export interface DependencyGraph {
  readonly nodes: number;
  /** Edges of node n are those from `first[n]` up to `first[n + 1]`. */
  readonly first: Int32Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** One of `edgeBits`. */
  readonly bits: Uint8Array;
  readonly key: Int32Array;
  readonly earlier: unknown[];
  readonly later: unknown[];
}

export function edgeKind(graph: DependencyGraph, edge: number): EdgeKind {
  const bits = graph.bits[edge];
  return (Object.keys(edgeBits) as EdgeKind[]).find((kind) => edgeBits[kind] === bits) as EdgeKind;
}

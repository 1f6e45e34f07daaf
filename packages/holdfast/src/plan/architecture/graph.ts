/** Who calls whom: the parts and the operations' paths as one graph, for diagrams and for whoever asks what depends on what. */
import type { PlannedKind } from "../../parts/requirements/index.ts";
import type { ResolvedOperation, ResolvedPart, ResolvedRequirements } from "../requirements/resolved.ts";

export interface GraphNode {
  readonly id: string;
  readonly kind: PlannedKind | "caller";
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** Operations that go this way. */
  readonly operations: readonly string[];
  /** Nobody waits for it. */
  readonly async: boolean;
}

export interface SystemGraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

const calling: ReadonlySet<PlannedKind> = new Set(["gateway", "cdn", "service", "worker"]);

export function systemGraph({ operations, parts }: ResolvedRequirements): SystemGraph {
  const byName = new Map(parts.map((part) => [part.name, part]));
  const edges = new Map<string, { from: string; to: string; operations: string[]; async: boolean }>();
  const connect = (from: string, to: string, operation: string | undefined, async: boolean) => {
    const key = JSON.stringify([from, to]);
    const edge = edges.get(key) ?? { from, to, operations: [], async };
    if (operation !== undefined && !edge.operations.includes(operation)) edge.operations.push(operation);
    edges.set(key, { ...edge, async: edge.async && async });
  };
  for (const operation of operations) {
    for (const { from, to, async } of hopsOf(operation, byName)) connect(from, to, operation.name, async);
  }
  for (const { name, from } of parts) if (from !== undefined) connect(from, name, undefined, true);
  const callers = [...new Set(operations.map(({ calledBy }) => calledBy))];
  return {
    nodes: [
      ...callers.map((id) => ({ id: callerId(id), kind: "caller" as const })),
      ...parts.map(({ name, kind }) => ({ id: name, kind })),
    ],
    edges: [...edges.values()],
  };
}

/** Callers may be called as a part is: they are no parts. */
export function callerId(name: string): string {
  return `${name} (caller)`;
}

export interface Hop {
  readonly from: string;
  readonly to: string;
  readonly async: boolean;
}

/** The hops of one operation. A step is called by the last part before it that calls at all. */
export function hopsOf(
  operation: ResolvedOperation,
  parts: ReadonlyMap<string, ResolvedPart>,
): readonly Hop[] {
  const hops: Hop[] = [];
  let caller = callerId(operation.calledBy);
  for (const { part, async } of operation.path) {
    const known = parts.get(part);
    // What a worker consumes comes from its topic, not from whoever published.
    const from = known?.from ?? caller;
    hops.push({ from, to: part, async: async || known?.from !== undefined });
    if (known && calling.has(known.kind)) caller = part;
  }
  const { fanOut } = operation;
  if (fanOut) hops.push({ from: fanOut.by ?? caller, to: fanOut.to, async: fanOut.by !== undefined });
  return hops;
}

/**
 * How many replicas the commits of a node wait for, as replicas come and go.
 */
import type { ResolvedReplication } from "../parts/database/index.ts";

/** What a node's databases ask for together: the strictest of them. */
export interface NodeReplication {
  /** Replicas that a commit waits for; 0 when all of its databases are asynchronous. */
  readonly quorum: number;
  readonly onReplicaLoss: "stall" | "degrade";
}

export interface ReplicationState {
  /** Replicas that a commit waits for now. */
  readonly quorum: number;
  /** Looks in a row that found fewer replicas than that. */
  readonly short: number;
}

/** Looks that have to find too few replicas before a node degrades: a replica that is just restarted gets over it. */
export const looksBeforeDegrading = 3;

/** Pure: of the databases on one node. */
export function nodeReplication(databases: readonly ResolvedReplication[]): NodeReplication {
  let quorum = 0;
  let onReplicaLoss: NodeReplication["onReplicaLoss"] = "degrade";
  for (const database of databases) {
    if (database.mode !== "synchronous") continue;
    quorum = Math.max(quorum, database.quorum);
    if (database.onReplicaLoss === "stall") onReplicaLoss = "stall";
  }
  return { quorum, onReplicaLoss: quorum === 0 ? "stall" : onReplicaLoss };
}

/**
 * Pure: what becomes of the quorum after a look that found `streaming` replicas. It is raised again at once, and
 * lowered only where losing protection was declared to be better than waiting.
 */
export function stepReplication(
  state: ReplicationState,
  { quorum, onReplicaLoss }: NodeReplication,
  streaming: number,
): ReplicationState {
  if (streaming >= state.quorum)
    return { quorum: Math.min(quorum, Math.max(streaming, state.quorum)), short: 0 };
  const short = state.short + 1;
  if (onReplicaLoss === "stall" || short < looksBeforeDegrading) return { ...state, short };
  return { quorum: streaming, short: 0 };
}

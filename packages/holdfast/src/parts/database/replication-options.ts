/**
 * How a commit reaches the replicas before it is acknowledged, and what happens when too few of them are there.
 *
 * With a quorum of q among n replicas, an acknowledged commit is on the primary's disk and on q others. It outlives
 * the primary and any q − 1 replicas: among any n − q + 1 replicas is one that has it.
 */
export interface ReplicationOptions {
  /**
   * `asynchronous` (the default): a commit is acknowledged when it is on the primary's disk. Fast, available with
   * the primary alone; what no replica has received when the primary is lost is lost with it, and reported so.
   * `synchronous`: acknowledged when it is also on the disks of a quorum of replicas. Loses nothing acknowledged;
   * each commit waits for a round trip to them.
   */
  readonly mode?: "asynchronous" | "synchronous";
  /** Replicas that have to have a commit, 1 to all. Default: with the primary a majority. For `synchronous`. */
  readonly quorum?: number;
  /**
   * When fewer replicas than the quorum are there: `stall` keeps commits waiting until they are back (consistent,
   * not available), `degrade` acknowledges with those that are left, after a few seconds (available; until they are
   * back, losing the primary may lose commits). Has to be said where one lost replica is one too many; otherwise
   * `stall`. For `synchronous`.
   */
  readonly onReplicaLoss?: "stall" | "degrade";
}

export type ResolvedReplication =
  | { readonly mode: "asynchronous" }
  | { readonly mode: "synchronous"; readonly quorum: number; readonly onReplicaLoss: "stall" | "degrade" };

/** Replicas that make a majority together with the primary. */
export function majorityQuorum(replicas: number): number {
  return Math.max(1, Math.floor((replicas + 1) / 2));
}

/** @returns what it comes to, and what is wrong with it */
export function resolveReplication(
  options: ReplicationOptions,
  replicas: number,
): { readonly replication: ResolvedReplication; readonly problems: readonly string[] } {
  const { mode = "asynchronous", quorum = majorityQuorum(replicas), onReplicaLoss } = options;
  const problems: string[] = [];
  if (mode !== "asynchronous" && mode !== "synchronous")
    problems.push(`replication.mode should be asynchronous or synchronous, got ${JSON.stringify(mode)}`);
  if (onReplicaLoss !== undefined && onReplicaLoss !== "stall" && onReplicaLoss !== "degrade")
    problems.push(
      `replication.onReplicaLoss should be stall or degrade, got ${JSON.stringify(onReplicaLoss)}`,
    );
  if (mode !== "synchronous") {
    for (const field of ["quorum", "onReplicaLoss"] as const) {
      if (options[field] !== undefined)
        problems.push(`replication.${field} is for mode "synchronous": say so, or leave it out`);
    }
    return { replication: { mode: "asynchronous" }, problems };
  }
  if (replicas === 0) {
    problems.push('replication.mode "synchronous" needs replicas of 1 or more, got 0');
  } else if (!(Number.isInteger(quorum) && quorum >= 1 && quorum <= replicas)) {
    problems.push(
      `replication.quorum should be a whole number from 1 to the number of replicas (${replicas}), got ${quorum}`,
    );
  } else if (onReplicaLoss === undefined && quorum === replicas) {
    problems.push(
      `replication.onReplicaLoss has to be said, because losing one of ${replicas} ${replicas === 1 ? "replica" : "replicas"} leaves no quorum of ${quorum}: "stall" keeps commits waiting until it is back, "degrade" goes on without its protection`,
    );
  }
  return { replication: { mode, quorum, onReplicaLoss: onReplicaLoss ?? "stall" }, problems };
}

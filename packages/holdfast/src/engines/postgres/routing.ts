/**
 * Which server a read asks first, and which next.
 *
 * A replica may serve a read when it has everything that the call's session has seen. How far a replica is, is
 * remembered: a position that was reached once is never lost again, so that a replica known to be far enough is
 * not asked.
 */
import type { LogPosition } from "../../call/index.ts";
import type { ReadLevel } from "../../parts/database/port.ts";
import type { NodePool } from "./pool.ts";

/** A server to ask. `token` has to be covered first; without one any state will do. */
export interface ReadCandidate {
  readonly pool: NodePool;
  readonly token: LogPosition | undefined;
}

/**
 * Pure: the servers in the order to ask them.
 *
 * @param turn grows by one with each read, so that replicas take turns
 */
export function readCandidates(
  level: ReadLevel,
  primary: NodePool,
  replicas: readonly NodePool[],
  token: LogPosition | undefined,
  turn: number,
): readonly ReadCandidate[] {
  const last: ReadCandidate = { pool: primary, token: undefined };
  if (level === "strong" || replicas.length === 0) return [last];
  const needed = level === "session" ? token : undefined;
  const inTurn = replicas.map((_, index) => replicas[(index + turn) % replicas.length] as NodePool);
  // One that could not be reached a moment ago comes after all that could, also after the primary.
  const reachable = inTurn.filter((pool) => !pool.avoided).map((pool) => ({ pool, token: needed }));
  const avoided = inTurn.filter((pool) => pool.avoided).map((pool) => ({ pool, token: needed }));
  return [...reachable, last, ...avoided];
}

/**
 * Which positions a read asks for, and which server it asks first, and which next.
 *
 * A replica may serve a read when it has everything that the level promises. How far a replica is, is remembered:
 * a position that was reached once is not lost while its server lives, so that a replica known to be far enough is
 * not asked.
 */
import type { Knowledge, LogPosition, NodeKnowledge } from "../../call/index.ts";
import type { ReadLevel } from "../../parts/database/index.ts";
import type { NodePool } from "./pool.ts";

const honours: { readonly [level in ReadLevel]: readonly Knowledge[] } = {
  eventual: [],
  "read-your-writes": ["written", "wanted"],
  monotonic: ["read", "wanted"],
  session: ["written", "read", "wanted"],
  causal: ["written", "read", "heard", "wanted"],
  strong: ["written", "read", "heard", "wanted"],
};

/** Pure: the positions that an answer at `level` must have behind it. */
export function neededPositions(level: ReadLevel, known: NodeKnowledge | undefined): readonly LogPosition[] {
  if (!known) return none;
  const needed: LogPosition[] = [];
  for (const how of honours[level]) {
    const position = known[how];
    if (position) needed.push(position);
  }
  return needed;
}

const none: readonly LogPosition[] = [];

export interface ReadRoute {
  /** To ask first, in this order: one that is known to be far enough before one that may be behind. */
  readonly replicas: readonly NodePool[];
  /** Could not be reached a moment ago: to be asked after all others, also after the primary. */
  readonly avoided: readonly NodePool[];
}

/**
 * Pure: the replicas in the order to ask them; the primary is asked between the two lists.
 *
 * @param turn grows by one with each read, so that replicas take turns
 */
export function readRoute(
  level: ReadLevel,
  replicas: readonly NodePool[],
  needed: readonly LogPosition[],
  turn: number,
): ReadRoute {
  if (level === "strong" || replicas.length === 0) return primaryOnly;
  const inTurn = replicas.map((_, index) => replicas[(index + turn) % replicas.length] as NodePool);
  const avoided = inTurn.filter((pool) => pool.avoided);
  const reachable = inTurn.filter((pool) => !pool.avoided);
  const ready = reachable.filter((pool) => isKnownToHave(pool, needed));
  return { replicas: [...ready, ...reachable.filter((pool) => !ready.includes(pool))], avoided };
}

const primaryOnly: ReadRoute = { replicas: [], avoided: [] };

/** Whether a standby is known, without asking, to have replayed all of `needed`, on the same timeline. */
export function isKnownToHave({ replayed }: NodePool, needed: readonly LogPosition[]): boolean {
  if (needed.length === 0) return true;
  if (!replayed) return false;
  return needed.every(
    ({ system, timeline, lsn }) =>
      system === replayed.system && timeline === replayed.timeline && lsn <= replayed.lsn,
  );
}

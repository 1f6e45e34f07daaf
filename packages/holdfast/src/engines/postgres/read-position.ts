/**
 * What a read has to do with positions: whether a server is far enough to answer it, and what its call's session
 * knows afterwards.
 */
import type { LogPosition, NodeKnowledge, Session } from "../../call/index.ts";
import type { ReadLevel } from "../../parts/database/index.ts";
import type { Trailer, TrailRow } from "./extended-query.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { NodePool } from "./pool.ts";
import { isKnownToHave, neededPositions } from "./routing.ts";
import {
  askReplayed,
  insertPositionOfTrail,
  insertPositionTrailer,
  replayPositionOfTrail,
  replayPositionTrailer,
} from "./routing-position.ts";
import type { PgSession } from "./session.ts";
import { promotedError, standbyError } from "./session-error.ts";
import { cutToEnd, deposedError, isOfTimeline, reviewSession } from "./session-review.ts";
import { covers, type Line } from "./timeline.ts";
import type { TimelineHistories } from "./timeline-history.ts";

/**
 * Whether the server may answer a read at `level`.
 *
 * @param known what the call's session knows; `undefined` when the read is not held to it
 * @param floor what the server has to have in any case
 * @returns false when it is a replica that is behind
 * @throws {HoldfastError} HOLDFAST_WRITE_LOST; HOLDFAST_UNAVAILABLE when the server is not what it should be
 */
export async function isFit(
  pool: NodePool,
  session: PgSession,
  level: ReadLevel,
  known: Session | undefined,
  nodes: DatabaseNodes,
  floor?: LogPosition,
): Promise<boolean> {
  const neededNow = () => {
    const needed = neededPositions(level, known?.get(pool.node));
    return floor ? [...needed, floor] : needed;
  };
  if (pool.role === "primary") {
    await checkPrimary(pool, session, known, nodes);
    return true;
  }
  const needed = neededNow();
  if (needed.length === 0 || isKnownToHave(pool, needed)) return true;
  const replayed = await askReplayed(session);
  if (!replayed) throw promoted(pool, session);
  pool.replayed = replayed;
  const { histories } = nodes.watch(pool.node);
  const line = await lineAt(pool, replayed, known, histories);
  if (await hasDiverged(pool, replayed, histories)) return false;
  if (known && line) reviewSession(known, pool.node, line, nodes.tokenCounts);
  // A floor from before a failover: whether it is part of this server's history takes knowing that.
  if (floor && floor.timeline !== replayed.timeline)
    await histories.lineOf(pool, replayed.system, replayed.timeline);
  return hasReplayed(pool, neededNow(), histories);
}

/**
 * A server that is to take writes or answer with authority: no standby, and not one whose successor somebody has met.
 *
 * @throws {HoldfastError} HOLDFAST_WRITE_LOST when what `known` has was lost before this server was promoted;
 *   HOLDFAST_UNAVAILABLE when it is a standby, or has been deposed
 */
export async function checkPrimary(
  pool: NodePool,
  session: PgSession,
  known: Session | undefined,
  nodes: DatabaseNodes,
): Promise<void> {
  const { facts } = session;
  if (facts.standby) {
    // The next attempt opens a connection of its own, and asks again.
    session.taint();
    pool.suspect();
    throw standbyError(pool.where);
  }
  const { histories } = nodes.watch(pool.node);
  histories.sawPrimary(facts);
  const of = known?.get(pool.node);
  if (of && !isOfTimeline(of, facts)) {
    const line = await histories.lineOf(pool, facts.system, facts.timeline);
    if (reviewSession(known as Session, pool.node, line, nodes.tokenCounts)) {
      session.taint();
      const newer = newestOf(known as Session, pool.node);
      pool.suspect(newer);
      throw deposedError(pool.where, facts.timeline, newer);
    }
  }
  if (histories.newest.timeline > facts.timeline) {
    session.taint();
    pool.suspect(histories.newest.timeline);
    throw deposedError(pool.where, facts.timeline, histories.newest.timeline);
  }
}

/** Whether a standby has everything of `needed`, by what was last heard of it. */
export function hasReplayed(
  { replayed }: NodePool,
  needed: readonly LogPosition[],
  histories: TimelineHistories,
): boolean {
  if (!replayed) return needed.length === 0;
  const { system, timeline, lsn } = replayed;
  const line = histories.known(system, timeline) ?? { system, timeline, forks: undefined };
  return needed.every((position) => covers(line, lsn, position));
}

/**
 * What to ask behind each statement of a read that is remembered, so that the session knows what it has seen and
 * never sees less again. Of an only replica as well: after a crash it comes back with less than it had answered.
 */
export function trailerFor({ role }: NodePool): Trailer {
  return role === "replica" ? replayPositionTrailer : insertPositionTrailer;
}

/**
 * Raises the session to the answer of the trailer.
 *
 * @param before what it knew when the read began
 */
export function noteRead(
  known: Session,
  pool: NodePool,
  session: PgSession,
  trail: TrailRow,
  before: NodeKnowledge | undefined,
  nodes: DatabaseNodes,
): void {
  if (pool.role === "primary") {
    const end = insertPositionOfTrail(session.facts, trail);
    if (before) cutToEnd(known, pool.node, before, end, nodes.tokenCounts);
    known.raise(pool.node, end, "read");
    return;
  }
  const replayed = replayPositionOfTrail(session.facts, trail);
  if (!replayed) throw promoted(pool, session);
  pool.replayed = replayed;
  known.raise(pool.node, replayed, "read");
}

/** The history that what is known has to be held against; `undefined` when it is all of the standby's timeline. */
async function lineAt(
  pool: NodePool,
  { system, timeline }: LogPosition,
  known: Session | undefined,
  histories: TimelineHistories,
): Promise<Line | undefined> {
  const of = known?.get(pool.node);
  if (!of || isOfTimeline(of, { system, timeline })) return undefined;
  return histories.lineOf(pool, system, timeline);
}

/** Whether a standby has gone beyond where its timeline was left: what it has more than others was lost. */
async function hasDiverged(
  pool: NodePool,
  { system, timeline, lsn }: LogPosition,
  histories: TimelineHistories,
): Promise<boolean> {
  if (timeline >= histories.newest.timeline) return false;
  const line = await histories.lineOf(pool, system, histories.newest.timeline);
  const fork = line.forks?.get(timeline);
  return line.forks !== undefined && (fork === undefined || lsn > fork);
}

function newestOf(known: Session, node: string): number {
  return Math.max(0, ...Object.values(known.get(node) ?? {}).map((position) => position.timeline));
}

function promoted(pool: NodePool, session: PgSession) {
  // Its next session knows that it takes writes.
  session.taint();
  return promotedError(pool.where);
}

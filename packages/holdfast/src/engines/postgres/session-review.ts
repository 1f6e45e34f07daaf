/**
 * What a call's session knows of a node, looked at again on a server that is on another timeline: after a failover.
 *
 * | what is known             | then                                                             |
 * |---------------------------|------------------------------------------------------------------|
 * | before the fork           | it holds                                                         |
 * | beyond the fork           | it was lost: said once, with HOLDFAST_WRITE_LOST, then forgotten |
 * | on a newer timeline       | a primary that has it not has been deposed; a replica is behind  |
 * | of another cluster        | ignored, counted, forgotten                                      |
 */
import {
  HoldfastError,
  type Knowledge,
  type LogPosition,
  type NodeKnowledge,
  type Session,
} from "../../call/index.ts";
import { positionsOf } from "../../call/session.ts";
import { type Line, standingOf } from "./timeline.ts";

/** How often what sessions knew did not fit the servers. */
export interface TokenCounts {
  /** Of another cluster than the node's: from before it was made anew. */
  foreign: number;
  /** Beyond the end of the primary's log on the same timeline: from before a restore, or a log end that a crash took. */
  future: number;
  /** Cut off by a failover, and reported as such. */
  lost: number;
}

export interface ReviewPlan {
  readonly foreign: number;
  /** What was lost and has to be told, by how it was known. */
  readonly lost: readonly Knowledge[];
  /** Whether the session has been on a timeline that this server has not come to. */
  readonly newer: boolean;
  readonly keep: (position: LogPosition) => boolean;
}

/** Pure: what to make of `known` on a server with this history. */
export function reviewStep(known: NodeKnowledge, line: Line): ReviewPlan {
  const standings = positionsOf(known).map(([how, position]) => [how, standingOf(line, position)] as const);
  return {
    foreign: standings.filter(([, standing]) => standing === "foreign").length,
    // What is only wanted is nobody's to lose.
    lost: standings.filter(([how, standing]) => standing === "lost" && how !== "wanted").map(([how]) => how),
    newer: standings.some(([, standing]) => standing === "newer"),
    keep: (position) => ["on", "newer"].includes(standingOf(line, position)),
  };
}

/** Whether all that is known is of this server's own timeline: then there is nothing to review. */
export function isOfTimeline(known: NodeKnowledge, { system, timeline }: Omit<Line, "forks">): boolean {
  for (const how in known) {
    const position = known[how as Knowledge];
    if (position && (position.timeline !== timeline || position.system !== system)) return false;
  }
  return true;
}

/**
 * Forgets what does not hold on `line`.
 *
 * @returns whether the session knows a newer timeline than the server
 * @throws {HoldfastError} HOLDFAST_WRITE_LOST when something of it was lost
 */
export function reviewSession(session: Session, node: string, line: Line, counts: TokenCounts): boolean {
  const known = session.get(node);
  if (!known) return false;
  const plan = reviewStep(known, line);
  session.prune(node, plan.keep);
  counts.foreign += plan.foreign;
  if (plan.lost.length > 0) {
    counts.lost++;
    throw lostError(node, plan.lost, line.forks !== undefined);
  }
  return plan.newer;
}

/**
 * What a session knows beyond the end of the primary's log, on the same timeline, is not there and never was
 * acknowledged: the log's end was taken by a crash, or a backup was restored.
 *
 * @param before what the session knew before `end` was asked: what it has learned since may well be beyond it
 */
export function cutToEnd(
  session: Session,
  node: string,
  before: NodeKnowledge,
  end: LogPosition,
  counts: TokenCounts,
): void {
  const isBeyond = ({ system, timeline, lsn }: LogPosition) =>
    system === end.system && timeline === end.timeline && lsn > end.lsn;
  const beyond = positionsOf(before).filter(
    ([how, position]) => isBeyond(position) && session.get(node)?.[how] === position,
  );
  if (beyond.length === 0) return;
  counts.future++;
  session.prune(node, (_, how) => !beyond.some(([cut]) => cut === how));
  for (const [how] of beyond) session.raise(node, end, how);
}

const words: { readonly [how in Knowledge]: string } = {
  written: "written",
  read: "read",
  heard: "heard of in a message",
  wanted: "wanted",
};

function lostError(node: string, lost: readonly Knowledge[], judged: boolean): HoldfastError {
  const what = lost.map((how) => words[how]).join(" and ");
  return new HoldfastError(
    "HOLDFAST_WRITE_LOST",
    `Node "${node}" has failed over, and ${judged ? "lost" : "nobody can say whether it lost"} what this session had ${what}. This call was not begun. Read the present state and do again what is missing.`,
    { data: { node, lost } },
  );
}

/** The server that is configured as primary has been replaced, and does not know it yet. */
export function deposedError(where: string, timeline: number, newer: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: this server is on timeline ${timeline}, and another has been promoted since (timeline ${newer}). It may answer from the past, so it is not asked. Correct the address of the primary, or stop the old server.`,
    { data: { where, timeline, newer } },
  );
}

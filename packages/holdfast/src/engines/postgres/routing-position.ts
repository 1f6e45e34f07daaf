/**
 * Positions in a server's write-ahead log, as servers tell them.
 *
 * A position counts only together with the server's identity and timeline: after a failover the same location
 * means another history.
 */
import type { LogPosition } from "../../call/index.ts";
import type { Trailer, TrailRow } from "./extended-query.ts";
import type { PgSession, ServerFacts, Statement } from "./session.ts";
import { parseLsn } from "./timeline.ts";

const walPageBytes = 8192n;
/** Sizes of the headers that a page, and the first page of a segment, begin with. */
const pageHeaderBytes = 24n;
const segmentHeaderBytes = 40n;

/** Behind a COMMIT. The insert position: with synchronous_commit off, flush and write positions lag it. */
export const insertPositionStatement: Statement = {
  text: "select pg_current_wal_insert_lsn()::text as lsn",
  prepare: true,
};
/**
 * With the timeline that is being received: a standby follows its primary to a new one without a word to its
 * clients. Not known while it receives nothing, or to a role that may not see it.
 */
export const replayPositionStatement: Statement = {
  text: `select pg_last_wal_replay_lsn()::text as lsn, pg_is_in_recovery() as standby,
    (select received_tli from pg_stat_get_wal_receiver()) as timeline`,
  prepare: true,
};

/** The same questions behind a read, in its own message. */
export const insertPositionTrailer: Trailer = {
  name: "holdfast_inserted",
  text: insertPositionStatement.text,
};
export const replayPositionTrailer: Trailer = {
  name: "holdfast_replayed",
  text: replayPositionStatement.text,
};

/** What a primary answered to `insertPositionTrailer`. */
export function insertPositionOfTrail(facts: ServerFacts, [lsn]: TrailRow): LogPosition {
  return insertPosition(facts, { lsn });
}

/** What a server that was a standby answered to `replayPositionTrailer`; `undefined` as with `replayPosition`. */
export function replayPositionOfTrail(
  facts: ServerFacts,
  [lsn, standby, timeline]: TrailRow,
): LogPosition | undefined {
  return replayPosition(facts, {
    lsn,
    standby: standby === "t",
    timeline: timeline === null ? null : Number(timeline),
  });
}

interface ReplayRow {
  readonly lsn: string | null;
  readonly standby: boolean;
  readonly timeline: number | null;
}

/**
 * The insert position points behind the header of a page that has no record yet; a replica never gets past the
 * page's start while nothing more is written. Rounding down loses nothing: no record ends in a header.
 */
export function roundDownToRecord(lsn: bigint, walSegmentBytes: bigint): bigint {
  if (lsn % walSegmentBytes === segmentHeaderBytes) return lsn - segmentHeaderBytes;
  // The first page of a segment has the longer header, so this offset cannot be confused with it.
  if (lsn % walPageBytes === pageHeaderBytes && lsn % walSegmentBytes !== pageHeaderBytes)
    return lsn - pageHeaderBytes;
  return lsn;
}

/** What a primary answered to `insertPositionStatement`. */
export function insertPosition(facts: ServerFacts, row: unknown): LogPosition {
  const { lsn } = row as { readonly lsn: string };
  const { system, timeline, walSegmentBytes } = facts;
  return { system, timeline, lsn: roundDownToRecord(parseLsn(lsn), walSegmentBytes) };
}

/**
 * What a server that was a standby answered to `replayPositionStatement`; `undefined` when it has been promoted
 * since its session opened.
 */
export function replayPosition(facts: ServerFacts, row: unknown): LogPosition | undefined {
  const { lsn, standby, timeline } = row as ReplayRow;
  if (!standby || lsn === null) return undefined;
  return {
    system: facts.system,
    // Timelines only grow. A standby that receives from one has that one's history.
    timeline: Math.max(facts.timeline, timeline ?? 0),
    lsn: roundDownToRecord(parseLsn(lsn), facts.walSegmentBytes),
  };
}

/** Where a primary's log is now. */
export async function askInserted(session: PgSession): Promise<LogPosition> {
  const { rows } = await session.send(insertPositionStatement);
  return insertPosition(session.facts, rows[0]);
}

/** How far a standby has replayed; `undefined` when it is a standby no more. */
export async function askReplayed(session: PgSession): Promise<LogPosition | undefined> {
  const { rows } = await session.send(replayPositionStatement);
  return replayPosition(session.facts, rows[0]);
}

/**
 * Positions in a server's write-ahead log: what a session has seen, and how far a replica is.
 *
 * A position counts only together with the server's identity and timeline: after a failover the same location
 * means another history.
 */
import type { LogPosition } from "../../call/index.ts";
import type { PgSession, ServerFacts, Statement } from "./session.ts";

const walPageBytes = 8192n;
/** Sizes of the headers that a page, and the first page of a segment, begin with. */
const pageHeaderBytes = 24n;
const segmentHeaderBytes = 40n;

/** Behind a COMMIT. The insert position: with synchronous_commit off, flush and write positions lag it. */
export const insertPositionStatement: Statement = {
  text: "select pg_current_wal_insert_lsn()::text as lsn",
  prepare: true,
};
export const replayPositionStatement: Statement = {
  text: "select pg_last_wal_replay_lsn()::text as lsn",
  prepare: true,
};

/** `16/B374D848` as a 64-bit integer. */
export function parseLsn(text: string): bigint {
  const [high, low] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
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

export function positionAt(facts: ServerFacts, lsnText: string): LogPosition {
  const lsn = roundDownToRecord(parseLsn(lsnText), facts.walSegmentBytes);
  return { system: facts.system, timeline: facts.timeline, lsn };
}

/** The server's position now: what is inserted on a primary, what is replayed on a standby. */
export async function askPosition(session: PgSession): Promise<LogPosition> {
  const { standby } = session.facts;
  const { rows } = await session.send<{ lsn: string }>(
    standby ? replayPositionStatement : insertPositionStatement,
  );
  const lsn = rows[0]?.lsn;
  if (lsn === undefined) throw new Error("the server said no position");
  return positionAt(session.facts, lsn);
}

/** Whether who is at `replayed` has everything that was there at `token`. */
export function covers(replayed: LogPosition, token: LogPosition): boolean {
  return (
    replayed.system === token.system && replayed.timeline === token.timeline && replayed.lsn >= token.lsn
  );
}

/**
 * Numbers of batches and epochs of claims, which must never be given out twice, although the server that gave them
 * out may be lost together with the memory of it.
 *
 * A server that was promoted begins a new timeline. What its predecessor recorded last may be missing, so the next
 * number in line may be one that was given out already, and that a shard on another node remembers as applied. So
 * each timeline has a space of its own: timeline 1 begins at 1, timeline n at (n - 1) * 2^40 + 1. Numbers then rise
 * through any number of failovers, and a number says on which timeline it was given out.
 */

/** Batches, or changes of owner, of one partition on one timeline: at a million a second, for twelve days. */
const spaceBits = 40n;

/** The timeline that this server writes on. Unlike the control file it is right from the moment of promotion. */
export const timelineNow =
  "('x' || lpad(left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), 8, '0'))::bit(32)::int";

/** SQL: the number after `last` (0: there is none yet) on the timeline of this server. */
export function nextNumberSql(last: string): string {
  return `greatest(${last} + 1, (((${timelineNow}) - 1)::bigint << ${spaceBits}) + 1)`;
}

/** The timeline on which a number was given out. */
export function timelineOf(number: bigint): number {
  return Number(number > 0n ? (number - 1n) >> spaceBits : 0n) + 1;
}

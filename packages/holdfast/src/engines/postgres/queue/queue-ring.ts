/**
 * Turning a queue's ring: segments are sealed one after the other, and emptied by TRUNCATE when nobody needs them.
 *
 * A segment takes what comes for half of the time that ended jobs are kept, then the next free one does. The newest
 * claim goes along as a row of its own, so that the cursor is always in the current segment. The oldest sealed one is
 * emptied when everything in it has been claimed and has ended, and it was sealed longer ago than ended jobs are kept.
 * Claims are only of jobs of their own segment or older ones, and ends only of such claims, so emptying in order
 * leaves nothing without what it is about.
 *
 * That is looked at once without a lock and again under an exclusive one, for which nobody waits long: whoever does
 * not get it at once leaves it for the next time.
 */

import { writeAtOnce } from "../log-transaction.ts";
import { emptySegment, type RingSegment } from "../ring-segment.ts";
import type { PgSession } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";
import { claimLockSql, timedNumber } from "./queue-claim.ts";
import { openClaimsSql } from "./queue-held.ts";
import { lockOf, type QueueStore, queueLock, segmentCount } from "./queue-tables.ts";
import type { Kept } from "./queue-view.ts";
import { claimedRows, cursorSql } from "./queue-window.ts";
import { forgetUnique } from "./unique.ts";

/** Rows of the keyed tables that are deleted at a time. */
const trimMax = 5_000;
const lockTimeoutMs = 50;

const mine = (store: QueueStore) => `pg_try_advisory_xact_lock(${queueLock(store.id)}, ${lockOf.ring})`;

/** Under the lock of claims. Parameter: how old the current segment has to be, in milliseconds. */
const sealSql = (store: QueueStore) => `
with due as materialized (
  select q.segment, ((q.segment + 1) % ${segmentCount})::smallint as next from holdfast.queue q
   where q.id = ${store.id} and ${mine(store)}
     and q.segment_since < clock_timestamp() - $1::float8 * interval '1 millisecond'
     and exists (select from ${store.ready} r where r.segment = q.segment)
     and not exists (select from holdfast.queue_sealed s
                      where s.queue = q.id and s.segment = (q.segment + 1) % ${segmentCount})
), sealed as (
  insert into holdfast.queue_sealed (queue, segment) select ${store.id}, segment from due
), moved as (
  insert into ${store.claim} (sequence, segment, token, from_snapshot, to_snapshot, after_xid, after_seq, until_xid,
      until_seq, more, count, total, seq_min, seq_max)
  select ${timedNumber("n.sequence")}, due.next, 0, n.from_snapshot, n.to_snapshot, n.until_xid, n.until_seq,
         n.until_xid, n.until_seq, n.more, 0, n.total, 0, 0
    from due cross join (select * from ${store.claim} order by sequence desc limit 1) n
)
update holdfast.queue set segment = due.next, segment_since = clock_timestamp()
  from due where id = ${store.id}`;

/** Whether every job of the segment has been claimed and has ended. */
const passedSql = (store: QueueStore, segment: number) => {
  const part = { ...store, ready: `${store.ready}_${segment}` };
  return `
select not exists (
  select from (${cursorSql(store)}) o cross join lateral (
    select from ${part.ready} r where r.xid >= pg_snapshot_xmax(o.from_snapshot)
    union all
    select from ${part.ready} r where r.xid = any (array(select pg_snapshot_xip(o.from_snapshot)))) unclaimed
) and not exists (
  select from (${openClaimsSql(store)}) g cross join lateral (${claimedRows(part, "g", "r.seq")}) unended
) as passed`;
};

/**
 * One round of care for a queue. Does nothing where another process is at it, or a lock is not free.
 *
 * @returns the segments that were emptied
 */
export async function turnRing(session: PgSession, store: QueueStore, kept: Kept): Promise<number[]> {
  await writeAtOnce(
    session,
    [{ text: sealSql(store), values: [kept.keepDoneMs / 2] }],
    `set local lock_timeout = '1s'; ${claimLockSql(store)}`,
  );
  const { rows } = await session.send<{ segment: number }>({
    text: `select segment from holdfast.queue_sealed
            where queue = $1 and sealed_at < clock_timestamp() - $2::float8 * interval '1 millisecond'
            order by sealed_at`,
    values: [store.id, kept.keepDoneMs],
  });
  const emptied: number[] = [];
  for (const { segment } of rows) {
    if (!(await emptySegment(session, segmentOf(store, segment)))) break;
    emptied.push(segment);
  }
  return emptied;
}

function segmentOf(store: QueueStore, segment: number): RingSegment {
  return {
    mine: mine(store),
    passed: { text: passedSql(store, segment) },
    tables: [store.ready, store.claim, store.end].map((table) => `${table}_${segment}`),
    alongside: [
      {
        text: "delete from holdfast.queue_sealed where queue = $1 and segment = $2",
        values: [store.id, segment],
      },
    ],
  };
}

/** Forgets what is kept no longer, and evidence that nobody can ask about any more. */
export async function trimQueue(
  session: PgSession,
  queueId: number,
  { keepDoneMs, keepDeadMs }: Kept,
): Promise<void> {
  const kept = (state: string) => ({
    text: `delete from holdfast.queue_kept where queue = $1 and id = any (array(
             select id from holdfast.queue_kept
              where queue = $1 and state = '${state}'
                and ended_at < clock_timestamp() - $2::float8 * interval '1 millisecond'
              order by ended_at limit ${trimMax} for update skip locked))`,
    values: [queueId, state === "dead" ? keepDeadMs : keepDoneMs],
  });
  const old = (table: string) => ({
    text: `delete from holdfast.${table} where queue = $1
              and at < clock_timestamp() - greatest($2::float8, 86400000) * interval '1 millisecond'`,
    values: [queueId, keepDoneMs],
  });
  await writeAtOnce(
    session,
    [
      kept("dead"),
      kept("cancelled"),
      old("queue_cancel"),
      old("queue_progress"),
      forgetUnique(queueId, trimMax),
    ],
    "set local synchronous_commit = off",
  );
  await trimEvidence(session);
}

/** The slot that comes next holds nothing younger than twenty minutes; deadlines are shorter by far. */
async function trimEvidence(session: PgSession): Promise<void> {
  const { rows } = await session.send<{ slot: number; full: boolean }>({
    text: `select slot, case slot ${[0, 1, 2, 3]
      .map((n) => `when ${n} then exists (select from holdfast.queue_evidence_${n})`)
      .join(" ")} end as full
             from (select ((extract(epoch from now())::bigint / 600 + 1) % 4)::int as slot) next`,
  });
  const [next] = rows;
  if (!next?.full) return;
  try {
    await writeAtOnce(
      session,
      [{ text: `truncate holdfast.queue_evidence_${next.slot}` }],
      `set local lock_timeout = '${lockTimeoutMs}ms'`,
    );
  } catch (error) {
    if (sqlStateOf(error) !== "55P03") throw error;
  }
}

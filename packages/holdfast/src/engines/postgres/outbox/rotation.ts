/**
 * Emptying an outbox: the ring turns, and segments that nobody needs any more are truncated.
 *
 * A segment takes messages for half of the retention time, then the next free one does. It is emptied when it was
 * sealed longer ago than the retention time, and everything in it was moved on: so what was moved can be moved again
 * for that long, should the destination's home fail over and lose it. That is looked at once without a lock, and again
 * under an exclusive one, when no transaction can still be writing to it. Whoever does not get the lock at once leaves
 * it for the next time.
 */
import { emptySegment, type RingSegment } from "../ring-segment.ts";
import type { PgSession } from "../session.ts";
import type { Cursor } from "./cursor.ts";
import { outboxLock, rotationSlot, segmentCount } from "./outbox-sql.ts";

/** Messages that were moved on are kept for an hour at least. */
export const retentionDefaultMs = 3_600_000;

const mine = `pg_try_advisory_xact_lock(${outboxLock}, ${rotationSlot})`;

/** Seals the current segment when it is due, has messages, and the next one is free. Parameter: ms. */
const sealSql = `
with due as materialized (
  select s.segment, (s.segment + 1) % ${segmentCount} as next from holdfast.outbox_segment s
   where s.sealed_at is null and ${mine}
     and s.since < clock_timestamp() - $1::float8 * interval '1 millisecond'
     and exists (select from holdfast.outbox r where r.segment = s.segment)
     and not exists (select from holdfast.outbox_segment n where n.segment = (s.segment + 1) % ${segmentCount})
), sealed as (
  update holdfast.outbox_segment s set sealed_at = clock_timestamp() from due where s.segment = due.segment
)
insert into holdfast.outbox_segment (segment) select next from due`;

/**
 * Whether everything in the segment was moved on. Of a window that is not used up, everything is kept; and what is
 * for a destination that nobody here knows.
 */
const passedSql = (segment: number) => `
with recursive present as (
  (select r.destination from holdfast.outbox_${segment} r order by r.destination limit 1)
  union all
  select (select r.destination from holdfast.outbox_${segment} r where r.destination > p.destination
           order by r.destination limit 1)
    from present p where p.destination is not null
)
select not exists (
  select from present p
    left join unnest($1::text[], $2::text[], $3::uuid[]) as c (destination, snapshot, tick) using (destination)
   where p.destination is not null and (c.destination is null
      or not exists (select from holdfast.outbox_tick t where t.id = c.tick)
      or exists (select from holdfast.outbox_${segment} r where r.destination = p.destination
                  and r.xid >= pg_snapshot_xmax(c.snapshot::pg_snapshot))
      or exists (select from holdfast.outbox_${segment} r where r.destination = p.destination
                  and r.xid = any (array(select pg_snapshot_xip(c.snapshot::pg_snapshot)))))
) as passed`;

export interface Passed {
  readonly destination: string;
  readonly cursor: Cursor;
}

/**
 * One round of care for a source. Does nothing where another process is at it, or a lock is not free.
 *
 * @param passed the cursors of the destinations that are known, as their homes have them
 * @returns what was emptied, and since when everything is kept
 */
export async function rotateOutbox(
  session: PgSession,
  passed: readonly Passed[],
  retentionMs: number,
): Promise<{ readonly emptied: readonly number[]; readonly keptSince: string | undefined }> {
  await session.send({ text: "begin read write" });
  await session.send({ text: sealSql, values: [retentionMs / 2] });
  await session.send({ text: "commit" });
  const { rows } = await session.send<{ segment: number }>({
    text: `select segment from holdfast.outbox_segment
      where sealed_at < clock_timestamp() - $1::float8 * interval '1 millisecond' order by sealed_at`,
    values: [retentionMs],
  });
  const emptied: number[] = [];
  for (const { segment } of rows) {
    if (await emptySegment(session, segmentOf(segment, passed))) emptied.push(segment);
  }
  const { rows: kept } = await session.send<{ since: string | null }>({
    text: "select min(since)::text as since from holdfast.outbox_segment",
  });
  return { emptied, keptSince: kept[0]?.since ?? undefined };
}

function segmentOf(segment: number, passed: readonly Passed[]): RingSegment {
  return {
    mine,
    passed: {
      text: passedSql(segment),
      values: [
        passed.map(({ destination }) => destination),
        passed.map(({ cursor }) => (cursor.more ? cursor.from : cursor.to)),
        passed.map(({ cursor }) => cursor.tick ?? null),
      ],
    },
    tables: [`holdfast.outbox_${segment}`],
    alongside: [
      { text: "delete from holdfast.outbox_segment where segment = $1", values: [segment] },
      {
        // Ticks from before all that is kept lead nowhere, but for those that cursors stand at.
        text: `delete from holdfast.outbox_tick t
          where t.at < (select min(since) from holdfast.outbox_segment) and t.id <> all ($1::uuid[])`,
        values: [passed.flatMap(({ cursor }) => cursor.tick ?? [])],
      },
    ],
  };
}

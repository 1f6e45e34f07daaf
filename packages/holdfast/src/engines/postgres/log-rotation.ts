/**
 * Emptying a log: the ring turns, and segments that nobody needs any more are truncated.
 *
 * A segment takes messages for half of the retention time, then the next free one does. It is emptied when it
 * was sealed longer ago than the retention time and every consumer has completed everything in it. That is
 * looked at once without a lock, and again under an exclusive one, when no transaction can still be writing to
 * it: so a slow publisher, or a transaction in doubt, keeps its segment. Whoever does not get the lock at once
 * leaves it for the next time; publishers and readers never wait for more than that instant.
 */
import type { TopicLog } from "./log-tables.ts";
import { segmentCount, segmentTable, topicLock } from "./log-tables.ts";
import { writeAtOnce } from "./log-transaction.ts";
import { emptySegment, type RingSegment } from "./ring-segment.ts";
import type { PgSession } from "./session.ts";
import { removeConsumer } from "./topic-group.ts";

/** Second key of the advisory lock that makes one process at a time turn a log. Beyond the slots of keys. */
const rotationSlot = 1_000;
/** How long a batch can still be asked about, in minutes. Deadlines are shorter by far. */
const evidenceMinutes = 15;
/** Recorded batches that are kept behind the newest of a partition, for whoever looks into it. */
const progressKept = 8;

const mine = (log: TopicLog) => `pg_try_advisory_xact_lock(${topicLock(log.id)}, ${rotationSlot})`;

/** Seals the current segment when it is due, has messages, and the next one is free. Parameter: ms. */
const sealSql = (log: TopicLog) => `
with due as materialized (
  select t.segment, (t.segment + 1) % ${segmentCount} as next
    from holdfast.topic t
   where t.id = ${log.id} and ${mine(log)}
     and t.segment_since < clock_timestamp() - $1::float8 * interval '1 millisecond'
     and exists (select from ${log.table} r where r.segment = t.segment)
     and not exists (select from holdfast.topic_sealed s
                      where s.topic = t.id and s.segment = (t.segment + 1) % ${segmentCount})
), sealed as (
  insert into holdfast.topic_sealed (topic, segment) select ${log.id}, segment from due
)
update holdfast.topic set segment = due.next, segment_since = clock_timestamp()
  from due where id = ${log.id}`;

/** Whether every consumer has completed every message of the segment. */
const passedSql = (log: TopicLog, segment: number) => `
select not exists (
  select from holdfast.topic_consumer c
   cross join generate_series(0, ${log.partitions - 1}) as a (partition)
    left join lateral (
      select * from holdfast.topic_progress g
       where g.consumer = c.id and g.partition = a.partition order by g.sequence desc limit 1) g on true
   cross join lateral (
      -- Of a window that is not used up, everything is kept.
      select case when g.sequence is null then '1:1:'::pg_snapshot
                  when g.done and not g.more then g.to_snapshot else g.from_snapshot end as snapshot) completed
   where c.topic = ${log.id} and not c.ephemeral and exists (
      select from ${segmentTable(log, segment)} r
       where r.partition = a.partition and r.xid >= pg_snapshot_xmax(completed.snapshot)
      union all
      select from ${segmentTable(log, segment)} r
       where r.partition = a.partition and r.xid = any (array(select pg_snapshot_xip(completed.snapshot)))
   )
) as passed`;

/**
 * One round of care for a log. Does nothing where another process is at it, or a lock is not free.
 *
 * @returns the segments that were emptied
 */
export async function rotateLog(session: PgSession, log: TopicLog, retentionMs: number): Promise<number[]> {
  await writeAtOnce(session, [{ text: sealSql(log), values: [retentionMs / 2] }]);
  const { rows } = await session.send<{ segment: number }>({
    text: `select segment from holdfast.topic_sealed
            where topic = $1 and sealed_at < clock_timestamp() - $2::float8 * interval '1 millisecond'
            order by sealed_at`,
    values: [log.id, retentionMs],
  });
  const emptied: number[] = [];
  for (const { segment } of rows) {
    if (await emptySegment(session, segmentOf(log, segment))) emptied.push(segment);
  }
  await trim(session, log);
  await removeAbandoned(session, log);
  return emptied;
}

function segmentOf(log: TopicLog, segment: number): RingSegment {
  return {
    mine: mine(log),
    passed: { text: passedSql(log, segment) },
    tables: [segmentTable(log, segment)],
    alongside: [
      {
        // Ticks from before it was sealed lead to nothing that is still there.
        text: `with emptied as (
                 delete from holdfast.topic_sealed where topic = $1 and segment = $2 returning sealed_at
               )
               delete from holdfast.topic_tick t using emptied where t.topic = $1 and t.at < emptied.sealed_at`,
        values: [log.id, segment],
      },
    ],
  };
}

/** Ephemeral consumers go when none of their members is left. */
async function removeAbandoned(session: PgSession, log: TopicLog): Promise<void> {
  const { rows } = await session.send<{ id: number }>({
    text: `select c.id from holdfast.topic_consumer c
      where c.topic = ${log.id} and c.ephemeral
        and not exists (select from holdfast.topic_member m
                         where m.consumer = c.id and m.expires_at > clock_timestamp())
        -- One that was made just now has not joined yet.
        and c.made_at < clock_timestamp() - interval '1 minute'`,
  });
  for (const { id } of rows) await removeConsumer(session, id);
}

/** Rows that are of no more use. Nobody reads past them, so it does not matter when they go. */
async function trim(session: PgSession, log: TopicLog): Promise<void> {
  await writeAtOnce(
    session,
    [
      {
        text: `delete from holdfast.topic_progress p using (
                 select c.id as consumer, a.partition,
                        (select max(g.sequence) from holdfast.topic_progress g
                          where g.consumer = c.id and g.partition = a.partition) as newest
                   from holdfast.topic_consumer c, generate_series(0, ${log.partitions - 1}) as a (partition)
                  where c.topic = ${log.id}
               ) n
                where p.consumer = n.consumer and p.partition = n.partition
                  and p.sequence < n.newest - ${progressKept}`,
      },
      {
        text: `delete from holdfast.topic_dead_letter
                where expires_at < clock_timestamp() and redrive_at is null`,
      },
      {
        text: `delete from holdfast.topic_batch
                where at < clock_timestamp() - interval '${evidenceMinutes} minutes'`,
      },
    ],
    "set local synchronous_commit = off",
  );
}

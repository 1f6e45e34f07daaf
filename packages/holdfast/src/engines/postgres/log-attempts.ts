/**
 * How often a batch was tried, what came of it, and what is done when it does not work: all at home, so that it
 * outlives the process that tried. A message that kills whoever handles it is found out like one that throws.
 *
 * Everything here is fenced by the claim's epoch, as recording and completing are, and safe to repeat.
 *
 * - `beginAttempt` counts one more attempt of a batch that was handed out before. Flushed: an attempt that kills must
 *   have been counted.
 * - `reportAttempt` says how an attempt ended. One that does not count (the world's fault, not the batch's) is taken
 *   back. Not flushed: what gets lost is taken for a death, and the batch is handled alone once.
 * - `halveBatch` records the first half of a batch under a number of its own; the rest follows as the window's next.
 *   Shards that had applied the whole know it by the mark in their guard rows, and leave the pieces out.
 * - `buryBatch` makes a batch of one message a dead letter, and completes the batch, in one transaction.
 */
import type { BatchFailure } from "../../parts/topic/index.ts";
import { nextNumberSql } from "./log-sequence.ts";
import type { TopicLog } from "./log-tables.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession } from "./session.ts";

/** A batch that is held under an epoch. */
export interface HeldBatch {
  readonly consumerId: number;
  readonly partition: number;
  readonly epoch: bigint;
  readonly sequence: bigint;
}

/** The row of the batch, locked by its claim; no row when the claim has passed on, or it is not the newest. */
const heldSql = `
held as materialized (
  select c.partition from holdfast.topic_claim c
   where c.consumer = $1 and c.partition = $2 and c.epoch = $3::bigint for no key update
), batch as materialized (
  select g.* from holdfast.topic_progress g join held using (partition)
   where g.consumer = $1 and g.sequence = $4::bigint and not g.done
     and not exists (select from holdfast.topic_progress n
                      where n.consumer = $1 and n.partition = $2 and n.sequence > $4::bigint)
)`;

const heldValues = ({ consumerId, partition, epoch, sequence }: HeldBatch) => [
  consumerId,
  partition,
  epoch.toString(),
  sequence.toString(),
];

const thisBatch = "g.consumer = $1 and g.partition = batch.partition and g.sequence = batch.sequence";

/** @returns the attempts that were begun now, or `undefined` when the batch is not held any more */
export async function beginAttempt(session: PgSession, held: HeldBatch): Promise<number | undefined> {
  const [{ rows }] = await writeAtOnce<[{ attempts: number }]>(
    session,
    [
      {
        text: `with ${heldSql}
          update holdfast.topic_progress g set attempts = g.attempts + 1 from batch where ${thisBatch}
          returning g.attempts`,
        values: heldValues(held),
      },
    ],
    flushed,
  );
  return rows[0]?.attempts;
}

/** @param counts whether it was the batch's own fault, as far as anybody can tell */
export async function reportAttempt(
  session: PgSession,
  held: HeldBatch,
  failure: BatchFailure,
  counts: boolean,
): Promise<void> {
  await writeAtOnce(
    session,
    [
      {
        text: `with ${heldSql}
          update holdfast.topic_progress g
             set reported = least(g.attempts, g.reported + case when $5::bool then 1 else 0 end),
                 attempts = greatest(g.reported, g.attempts - case when $5::bool then 0 else 1 end), failure = $6::json
            from batch where ${thisBatch}`,
        values: [...heldValues(held), counts, JSON.stringify(failure)],
      },
    ],
    "set local synchronous_commit = off",
  );
}

/** @param untilId id of the last message of the first half; of redriven messages there is a count instead */
export async function halveBatch(
  session: PgSession,
  held: HeldBatch,
  half: { readonly untilId: bigint; readonly count: number },
): Promise<boolean> {
  const [{ rowCount }] = await writeAtOnce<[unknown]>(
    session,
    [
      {
        text: `with ${heldSql}
          insert into holdfast.topic_progress
            (consumer, partition, sequence, epoch, from_snapshot, to_snapshot, after_id, until_id, more, filter,
             replay, isolate_until, letters, attempts, failure)
          select consumer, partition, ${nextNumberSql("sequence")}, $3::bigint, from_snapshot, to_snapshot, after_id,
                 case when letters is null then $5::bigint else until_id end,
                 case when letters is null then true else more end, filter, replay,
                 case when letters is null then coalesce(isolate_until, until_id) end,
                 letters[1:$6::int], 0, failure
            from batch`,
        values: [...heldValues(held), half.untilId.toString(), half.count],
      },
    ],
    flushed,
  );
  return rowCount === 1;
}

/** @param message where the one message of the batch is in the log */
export async function buryBatch(
  session: PgSession,
  log: TopicLog,
  held: HeldBatch,
  message: { readonly id: bigint; readonly xid: bigint },
  failure: BatchFailure,
  keepDeadMs: number,
): Promise<boolean> {
  const [{ rows }] = await writeAtOnce<[{ buried: string }]>(
    session,
    [
      {
        text: `with ${heldSql}, fresh as (
            insert into holdfast.topic_dead_letter
              (consumer, partition, message_id, published_at, key, subject, version, value, traceparent, session, code,
               message, outcome, attempts, expires_at)
            select $1, r.partition, r.id, r.published_at, r.key, r.subject, r.version, r.value, r.traceparent, r.session,
                   $7, $8, $9, batch.attempts, clock_timestamp() + $10::float8 * interval '1 millisecond'
              from batch join ${log.table} r
                on batch.letters is null and r.partition = $2 and r.xid = $6::xid8 and r.id = $5::bigint
            returning 1
          ), again as (
            update holdfast.topic_dead_letter d
               set redrive_at = null, code = $7, message = $8, outcome = $9, dead_at = clock_timestamp(),
                   attempts = d.attempts + batch.attempts,
                   expires_at = clock_timestamp() + $10::float8 * interval '1 millisecond'
              from batch where d.id = any (batch.letters)
            returning 1
          ), done as (
            update holdfast.topic_progress g set done = true from batch where ${thisBatch}
          )
          select ((select count(*) from fresh) + (select count(*) from again))::text as buried`,
        values: [
          ...heldValues(held),
          message.id.toString(),
          message.xid.toString(),
          failure.code,
          failure.message,
          failure.outcome,
          keepDeadMs,
        ],
      },
    ],
    flushed,
  );
  return Number(rows[0]?.buried ?? 0) > 0;
}

/**
 * Records a batch of dead letters that wait to be tried once more, behind the newest batch of the partition.
 *
 * @returns whether there is one now
 */
export async function recordRedrive(
  session: PgSession,
  held: Omit<HeldBatch, "sequence">,
  messagesMax: number,
  bytesMax: number,
): Promise<boolean> {
  const [{ rowCount }] = await writeAtOnce<[unknown]>(
    session,
    [
      {
        text: `with held as materialized (
            select c.partition from holdfast.topic_claim c
             where c.consumer = $1 and c.partition = $2 and c.epoch = $3::bigint for no key update
          ), newest as (
            select g.* from holdfast.topic_progress g where g.consumer = $1 and g.partition = $2
             order by g.sequence desc limit 1
          ), letters as (
            select array_agg(d.id order by d.redrive_at, d.message_id) as ids from (
              select n.*, sum(bytes) over (order by redrive_at, message_id) - bytes as before from (
                select id, redrive_at, message_id, octet_length(value::text) as bytes
                  from holdfast.topic_dead_letter
                 where consumer = $1 and partition = $2 and redrive_at is not null
                 order by redrive_at, message_id limit $4::int) n) d
             where d.before < $5::bigint
          )
          insert into holdfast.topic_progress
            (consumer, partition, sequence, epoch, from_snapshot, to_snapshot, after_id, until_id, more, replay,
             isolate_until, letters, attempts)
          select $1, $2, ${nextNumberSql("coalesce(g.sequence, 0)")}, $3::bigint,
                 coalesce(g.from_snapshot, '1:1:'), coalesce(g.to_snapshot, '1:1:'), coalesce(g.after_id, 0),
                 coalesce(g.until_id, 0), coalesce(g.more, false), coalesce(g.replay, ''), g.isolate_until,
                 letters.ids, 0
            from held cross join letters left join newest g on true
           where letters.ids is not null and coalesce(g.done, true)
          on conflict do nothing`,
        values: [held.consumerId, held.partition, held.epoch.toString(), messagesMax, bytesMax],
      },
    ],
    flushed,
  );
  return rowCount === 1;
}

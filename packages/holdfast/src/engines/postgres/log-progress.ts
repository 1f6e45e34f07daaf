/**
 * A consumer's progress through a log: which batches were recorded, and which of them are completed.
 *
 * Both are fenced: the transaction locks the partition's claim and looks at its epoch, so nothing is recorded
 * or completed by a member that has lost the partition, however late its statement arrives.
 */
import type { PartitionRead } from "./log-read.ts";
import { flushed, writeAtOnce } from "./log-transaction.ts";
import type { PgSession, Statement } from "./session.ts";

const recordSql = `
with batch as (
  select * from unnest($2::int[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
                       $8::bigint[], $9::bool[], $10::bool[], $11::text[], $12::text[], $13::bigint[])
    as b (partition, epoch, sequence, from_snapshot, to_snapshot, after_id, until_id, more, done, filter, replay,
          isolate_until)
), held as materialized (
  select c.partition from holdfast.topic_claim c join batch b on b.partition = c.partition and b.epoch = c.epoch
   where c.consumer = $1 order by c.partition for no key update of c
)
insert into holdfast.topic_progress
  (consumer, partition, sequence, epoch, from_snapshot, to_snapshot, after_id, until_id, more, done, filter, replay,
   isolate_until)
select $1, b.partition, b.sequence, b.epoch, b.from_snapshot::pg_snapshot, b.to_snapshot::pg_snapshot,
       b.after_id, b.until_id, b.more, b.done, b.filter, b.replay, b.isolate_until
  from batch b join held using (partition)
on conflict do nothing
returning partition`;

function recordStatement(consumerId: number, reads: readonly PartitionRead[], passed: boolean): Statement {
  return {
    text: recordSql,
    prepare: true,
    values: [
      consumerId,
      reads.map((read) => read.partition),
      reads.map((read) => read.epoch.toString()),
      reads.map((read) => read.sequence.toString()),
      reads.map((read) => read.fromSnapshot),
      reads.map((read) => read.toSnapshot),
      reads.map((read) => read.afterId),
      reads.map((read) => read.untilId),
      reads.map((read) => read.more),
      reads.map(() => passed),
      reads.map((read) => read.filter ?? null),
      reads.map((read) => read.replay),
      reads.map((read) => read.isolateUntil ?? null),
    ],
  };
}

/**
 * Records batches that were read but not recorded yet. Flushed: effects elsewhere rest on it.
 *
 * @returns the partitions whose batch is recorded now. One that is missing has another owner, or another
 *   batch of the same number was recorded first: read it again.
 */
export async function recordBatches(
  session: PgSession,
  consumerId: number,
  reads: readonly PartitionRead[],
): Promise<Set<number>> {
  const [recorded] = await writeAtOnce<[{ partition: number }]>(
    session,
    [recordStatement(consumerId, reads, false)],
    flushed,
  );
  return new Set(recorded.rows.map((row) => row.partition));
}

/**
 * Notes that windows without a message that is wanted were passed. Not flushed: a crash that undoes it only has them
 * read again.
 */
export async function recordPassed(
  session: PgSession,
  consumerId: number,
  reads: readonly PartitionRead[],
): Promise<void> {
  await writeAtOnce(
    session,
    [recordStatement(consumerId, reads, true)],
    "set local synchronous_commit = off",
  );
}

/**
 * `held`: the epoch is the partition's. `done`: the batch was completed, now or before, or is so old that it
 * is not kept any more.
 */
export interface CompleteEnd {
  readonly held: boolean;
  readonly done: boolean;
}

const completeSql = `
with held as materialized (
  select c.partition from holdfast.topic_claim c
   where c.consumer = $1 and c.partition = $2 and c.epoch = $3::bigint for no key update
), completed as (
  update holdfast.topic_progress g set done = true from held
   where g.consumer = $1 and g.partition = held.partition and g.sequence = $4::bigint and not g.done
  returning g.letters
), redriven as (
  delete from holdfast.topic_dead_letter d using completed where d.id = any (completed.letters)
)
select exists (select from held) as held,
       exists (select from completed) or coalesce(
         (select g.sequence > $4::bigint or (g.sequence = $4::bigint and g.done)
            from holdfast.topic_progress g where g.consumer = $1 and g.partition = $2
           order by g.sequence desc limit 1), false) as done`;

/**
 * Completes a batch. Not flushed: when a crash undoes it, the same batch comes again and changes nothing
 * where it was applied; and recording the next batch flushes this too.
 */
export async function completeBatch(
  session: PgSession,
  consumerId: number,
  partition: number,
  epoch: bigint,
  sequence: bigint,
): Promise<CompleteEnd> {
  const [completed] = await writeAtOnce<[CompleteEnd]>(
    session,
    [
      {
        text: completeSql,
        prepare: true,
        values: [consumerId, partition, epoch.toString(), sequence.toString()],
      },
    ],
    "set local synchronous_commit = off",
  );
  return completed.rows[0] as CompleteEnd;
}

/**
 * What people do to jobs: cancel, redrive and discard dead letters, pause.
 *
 * Each is one packet. Cancelling takes the lock of claims, so that a job that waits cannot be claimed meanwhile: it
 * is deleted from the ring, which is the only time that a ready row is.
 */
import type { ClaimedJob, JobFilter, QueueMember } from "../../../parts/queue/index.ts";
import { flushed, writeAtOnce } from "../log-transaction.ts";
import type { PgSession } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";
import { claimLockSql, type JobHandle } from "./queue-claim.ts";
import { fenceStatement } from "./queue-members.ts";
import { payload, type QueueStore } from "./queue-tables.ts";
import { type Kept, oneJobSql } from "./queue-view.ts";
import { cursorSql, ringSettings, unclaimed } from "./queue-window.ts";

/** Of a row that is taken out of where it waited: `gone`. */
const keepCancelled = `
kept as (
  insert into holdfast.queue_kept (queue, id, state, turn, attempt, enqueued_at, bytes, value, name, tags, unique_key,
      traceparent, session, failure)
  select $2, id, 'cancelled', turn, attempt - 1, enqueued_at, bytes, value, name, tags, unique_key, traceparent,
         session, failure
    from gone
), freed as materialized (
  select holdfast.queue_release_unique($2, array_agg(id)) from gone where unique_key is not null having count(*) > 0
)
select gone.id from gone left join freed on true`;

export async function cancelJob(
  session: PgSession,
  store: QueueStore,
  id: string,
  kept: Kept,
): Promise<"cancelled" | "requested" | "ended" | "unknown"> {
  const [delayed, waiting, , found] = await writeAtOnce<[unknown, unknown, unknown, { state: string }]>(
    session,
    [
      {
        text: `with gone as (
                 delete from holdfast.queue_timer where queue = $2 and id = $1::uuid returning id, ${payload()}
               ), ${keepCancelled}`,
        values: [id, store.id],
      },
      {
        text: `with gone as (
                 delete from ${store.ready} r using (${cursorSql(store)}) o
                  where r.id = $1::uuid and ${unclaimed("r", "o")} returning r.id, ${payload("r")}
               ), ${keepCancelled}`,
        values: [id, store.id],
      },
      {
        text: `insert into holdfast.queue_cancel (queue, id, token)
               select ${store.id}, id, token from (${oneJobSql(store, kept)}) j where state = 'active'
               on conflict (queue, id) do update set token = excluded.token, at = clock_timestamp()`,
        values: [id],
      },
      { text: oneJobSql(store, kept), values: [id] },
    ],
    `set local enable_seqscan = off; ${flushed}; ${claimLockSql(store)}`,
  );
  if ((delayed.rowCount ?? 0) + (waiting.rowCount ?? 0) > 0) return "cancelled";
  const state = found.rows[0]?.state;
  if (state === undefined) return "unknown";
  return state === "active" ? "requested" : "ended";
}

/** Dead letters that fit, oldest id first, locked. Parameters from `$2`: ids, name, tag, code, limit. */
const deadSql = `
  select id from holdfast.queue_kept
   where queue = $1 and state = 'dead' and ($2::uuid[] is null or id = any ($2)) and ($3::text is null or name = $3)
     and ($4::text is null or tags @> array[$4]) and ($5::text is null or failure ->> 'code' = $5)
   order by id limit $6 for update skip locked`;

const deadValues = ({ id }: QueueStore, filter: Omit<JobFilter, "state">, limit: number) => [
  id,
  filter.ids ?? null,
  filter.name ?? null,
  filter.tag ?? null,
  filter.failureCode ?? null,
  limit,
];

/** Dead letters run again from attempt 1, without the unique keys they had. */
export async function redriveDead(
  session: PgSession,
  store: QueueStore,
  filter: Omit<JobFilter, "state">,
  limit: number,
): Promise<number> {
  if (filter.group !== undefined) return 0;
  const [redriven] = await writeAtOnce<[unknown]>(
    session,
    [
      {
        text: `with gone as (
                 delete from holdfast.queue_kept k where k.queue = $1 and k.id = any (array(${deadSql}))
                 returning k.*
               )
               insert into ${store.ready} (segment, id, turn, attempt, enqueued_at, bytes, value, name, tags,
                   traceparent, session, failure)
               select q.segment, g.id, g.turn, 1, g.enqueued_at, g.bytes, g.value, g.name, g.tags, g.traceparent,
                      g.session, g.failure
                 from gone g join holdfast.queue q on q.id = $1 order by g.id`,
        values: deadValues(store, filter, limit),
      },
    ],
    flushed,
  );
  return redriven.rowCount ?? 0;
}

export async function discardDead(
  session: PgSession,
  store: QueueStore,
  filter: Omit<JobFilter, "state">,
  limit: number,
): Promise<number> {
  if (filter.group !== undefined) return 0;
  const [discarded] = await writeAtOnce<[unknown]>(
    session,
    [
      {
        text: `delete from holdfast.queue_kept k where k.queue = $1 and k.id = any (array(${deadSql}))`,
        values: deadValues(store, filter, limit),
      },
    ],
    flushed,
  );
  return discarded.rowCount ?? 0;
}

export async function pauseQueue(session: PgSession, queueId: number, paused: boolean): Promise<void> {
  const text = "update holdfast.queue set paused = $2 where id = $1 and paused <> $2";
  await writeAtOnce(session, [{ text, values: [queueId, paused] }], flushed);
}

/** Keeps what a handler says of how far it is; nothing when its attempt is over. */
export async function keepProgress(
  session: PgSession,
  store: QueueStore,
  member: QueueMember,
  job: ClaimedJob,
  json: string,
): Promise<void> {
  const { claim, seq } = job.handle as JobHandle;
  try {
    await writeAtOnce(
      session,
      [
        fenceStatement(store.id, member, true),
        {
          text: `insert into holdfast.queue_progress as p (queue, id, value)
                 select $1, $2::uuid, $3 where not exists (
                   select from ${store.end} e where e.claim = $4::bigint and e.seqs @> $5::bigint)
                 on conflict (queue, id) do update set value = excluded.value, at = clock_timestamp()`,
          prepare: true,
          values: [store.id, job.id, json, claim, seq],
        },
      ],
      `set local synchronous_commit = off; ${ringSettings}`,
    );
  } catch (error) {
    if (sqlStateOf(error) !== "HF002") throw error;
  }
}

/**
 * Ending attempts: one row for all that are done of a claim, and a place elsewhere for those that are not.
 *
 * The transaction locks its member's row, so that nobody takes its jobs away meanwhile, and two reports of one member
 * come one after the other. What counted is what no end had before: asked again after a COMMIT without an answer, it
 * changes nothing. An attempt whose claim is not there (a failover lost it) counts for nothing.
 */
import type { AttemptEnd, ClaimedJob, JobFailure, QueueMember } from "../../../parts/queue/index.ts";
import { flushed } from "../log-transaction.ts";
import type { PgSession, Statement } from "../session.ts";
import { multirangeText, parseMultirange } from "./multirange.ts";
import type { JobHandle } from "./queue-claim.ts";
import { fenceStatement } from "./queue-members.ts";
import { payload, type QueueStore } from "./queue-tables.ts";
import { ringSettings } from "./queue-window.ts";
import { releaseUnique } from "./unique.ts";

export interface FinishedJob {
  readonly job: ClaimedJob;
  readonly end: AttemptEnd;
}

/** Parameters: queue, token, claims, their seqs; and of results: claims, seqs, JSON texts. */
const doneSql = (store: QueueStore) => `
with result as materialized (
  select * from unnest($5::bigint[], $6::bigint[], string_to_array($7::text, E'\\x1e')) as r (claim, seq, value)
), fresh as materialized (
  select a.claim, a.seqs::int8multirange - coalesce(
           (select range_agg(e.seqs) from ${store.end} e where e.claim = a.claim), '{}'::int8multirange) as seqs
    from unnest($3::bigint[], $4::text[]) as a (claim, seqs)
   where exists (select from ${store.claim} c where c.sequence = a.claim and c.token = $2::bigint)
), ended as (
  insert into ${store.end} (claim, segment, done, seqs, count, result_seqs, results)
  select f.claim, q.segment, true, f.seqs, (select sum(upper(r) - lower(r)) from unnest(f.seqs) r),
         results.seqs, results.texts
    from fresh f join holdfast.queue q on q.id = $1
    left join lateral (
      select array_agg(r.seq) as seqs, array_agg(r.value) as texts from result r where r.claim = f.claim) results on true
   where not isempty(f.seqs)
)
select claim::text, seqs::text from fresh`;

/**
 * Parameters: queue, token; and of each job: claim, seq, id, turn, what becomes of it, the delay in milliseconds, the
 * failure. A job that is released, or tried again at once, is ready again under its next turn; one that somebody
 * wanted to be cancelled is cancelled instead.
 */
const movedSql = (store: QueueStore) => `
with asked as materialized (
  select * from unnest($3::bigint[], $4::bigint[], $5::uuid[], $6::int[], $7::text[], $8::float8[], $9::json[])
    as a (claim, seq, id, turn, kind, after_ms, failure)
), fresh as materialized (
  select a.claim, a.seq, a.after_ms, a.id, r.turn + 1 as turn,
         case when a.kind = 'retry' then r.attempt + 1 else r.attempt end as attempt, r.attempt as attempt_ended,
         case when a.kind in ('retry', 'released') and exists (
                select from holdfast.queue_cancel x where x.queue = $1 and x.id = a.id) then 'cancelled'
              else a.kind end as kind,
         r.enqueued_at, r.bytes, r.value, r.name, r.tags, r.unique_key, r.traceparent, r.session,
         coalesce(a.failure, r.failure) as failure
    from asked a join ${store.ready} r on r.id = a.id and r.turn = a.turn and r.seq = a.seq
   where exists (select from ${store.claim} c where c.sequence = a.claim and c.token = $2::bigint)
     and not exists (select from ${store.end} e where e.claim = a.claim and e.seqs @> a.seq)
), ended as (
  insert into ${store.end} (claim, segment, done, seqs, count)
  select f.claim, q.segment, false, range_agg(int8range(f.seq, f.seq + 1)), count(*)
    from fresh f join holdfast.queue q on q.id = $1 group by f.claim, q.segment
), ready as (
  insert into ${store.ready} (segment, id, ${payload()})
  select q.segment, f.id, ${payload("f")} from fresh f join holdfast.queue q on q.id = $1
   where f.kind = 'released' or (f.kind = 'retry' and f.after_ms <= 0) order by f.claim, f.seq
), delayed as (
  insert into holdfast.queue_timer (queue, id, due_at, ${payload()})
  select $1, id, clock_timestamp() + after_ms * interval '1 millisecond', ${payload()} from fresh
   where kind = 'retry' and after_ms > 0
), kept as (
  insert into holdfast.queue_kept (queue, id, state, turn, attempt, enqueued_at, bytes, value, name, tags, unique_key,
      traceparent, session, failure)
  select $1, id, kind, turn, attempt_ended, enqueued_at, bytes, value, name, tags, unique_key, traceparent, session,
         failure
    from fresh where kind in ('dead', 'cancelled')
), freed as materialized (
  select holdfast.queue_release_unique($1, array_agg(id)) from fresh
   where kind in ('dead', 'cancelled') and unique_key is not null having count(*) > 0
)
select claim::text, seq::text from fresh left join freed on true`;

/** The statements of a finish, for the transaction of `finishJobs`, and how to read their answers. */
export function finishStatements(
  store: QueueStore,
  member: QueueMember,
  finished: readonly FinishedJob[],
): { readonly statements: Statement[]; readonly countedIn: (answers: readonly unknown[][]) => Set<string> } {
  const statements: Statement[] = [];
  const done = finished.filter(({ end }) => end.kind === "done");
  const moved = finished.filter(({ end }) => end.kind !== "done");
  if (done.length > 0) statements.push(doneStatement(store, member, done));
  if (moved.length > 0) statements.push(movedStatement(store, member, moved));
  const keyed = done.filter(({ job }) => (job.handle as JobHandle).unique).map(({ job }) => job.id);
  if (keyed.length > 0) statements.push(releaseUnique(store.id, keyed));
  return {
    statements,
    countedIn: (answers) => {
      const counted = new Set<string>();
      const rows = [...answers];
      if (done.length > 0)
        for (const { claim, seqs } of rows.shift() as { claim: string; seqs: string }[])
          for (const seq of parseMultirange(seqs)) counted.add(`${claim} ${seq}`);
      if (moved.length > 0)
        for (const { claim, seq } of rows.shift() as { claim: string; seq: string }[])
          counted.add(`${claim} ${seq}`);
      return counted;
    },
  };
}

function doneStatement(store: QueueStore, { token }: QueueMember, done: readonly FinishedJob[]): Statement {
  const seqsOf = new Map<string, number[]>();
  const withResult: { handle: JobHandle; json: string }[] = [];
  for (const { job, end } of done) {
    const handle = job.handle as JobHandle;
    const seqs = seqsOf.get(handle.claim);
    if (seqs) seqs.push(handle.seq);
    else seqsOf.set(handle.claim, [handle.seq]);
    if (end.kind === "done" && end.resultJson !== undefined)
      withResult.push({ handle, json: end.resultJson });
  }
  return {
    text: doneSql(store),
    prepare: true,
    values: [
      store.id,
      token.toString(),
      [...seqsOf.keys()],
      [...seqsOf.values()].map(multirangeText),
      withResult.map(({ handle }) => handle.claim),
      withResult.map(({ handle }) => handle.seq),
      withResult.length === 0 ? null : withResult.map(({ json }) => json).join("\u001e"),
    ],
  };
}

function movedStatement(store: QueueStore, { token }: QueueMember, moved: readonly FinishedJob[]): Statement {
  const handles = moved.map(({ job }) => job.handle as JobHandle);
  return {
    text: movedSql(store),
    prepare: true,
    values: [
      store.id,
      token.toString(),
      handles.map(({ claim }) => claim),
      handles.map(({ seq }) => seq),
      moved.map(({ job }) => job.id),
      handles.map(({ turn }) => turn),
      moved.map(({ end }) => end.kind),
      moved.map(({ end }) => (end.kind === "retry" ? end.afterMs : 0)),
      moved.map(({ end }) => ("failure" in end ? failureText(end.failure) : null)),
    ],
  };
}

/** Postgres text has no NUL, in JSON neither. */
export function failureText({ code, message, outcome }: JobFailure): string {
  return JSON.stringify({ code, message: message.replaceAll("\0", "\ufffd"), outcome });
}

/**
 * Ends attempts in one transaction.
 *
 * @returns for each whether it counted
 * @throws what the transaction does; when that is unknown, ask again
 */
export async function finishJobs(
  session: PgSession,
  store: QueueStore,
  member: QueueMember,
  finished: readonly FinishedJob[],
): Promise<readonly boolean[]> {
  const { statements, countedIn } = finishStatements(store, member, finished);
  const begun = session.send({ text: `begin read write; ${ringSettings}; ${flushed}` });
  const fenced = session.send(fenceStatement(store.id, member, true));
  const sent = statements.map((statement) => session.send<unknown>(statement));
  const answers = await Promise.allSettled([begun, fenced, ...sent, session.send({ text: "commit" })]);
  for (const answer of answers) {
    if (answer.status === "fulfilled") continue;
    session.taint();
    throw answer.reason;
  }
  const rows = await Promise.all(sent.map(async (answer) => (await answer).rows));
  const counted = countedIn(rows);
  return finished.map(({ job }) => {
    const { claim, seq } = job.handle as JobHandle;
    return counted.has(`${claim} ${seq}`);
  });
}

/** Which of the jobs were done by a report that had no answer. For a member that has lost its lease since. */
export async function doneBefore(
  session: PgSession,
  store: QueueStore,
  member: QueueMember,
  finished: readonly FinishedJob[],
): Promise<readonly boolean[]> {
  const claims = [...new Set(finished.map(({ job }) => (job.handle as JobHandle).claim))];
  const { rows } = await session.send<{ claim: string; seqs: string }>({
    text: `select e.claim::text, range_agg(e.seqs)::text as seqs from ${store.end} e
             join ${store.claim} c on c.sequence = e.claim and c.token = $2::bigint
            where e.claim = any ($1::bigint[]) and e.done group by e.claim`,
    values: [claims, member.token.toString()],
  });
  const done = new Set(
    rows.flatMap(({ claim, seqs }) => parseMultirange(seqs).map((seq) => `${claim} ${seq}`)),
  );
  return finished.map(({ job, end }) => {
    const { claim, seq } = job.handle as JobHandle;
    return end.kind === "done" && done.has(`${claim} ${seq}`);
  });
}

/**
 * Adding jobs to a queue, and finding out whether a batch was added.
 *
 * Two INSERTs at most, one for jobs that are ready and one for those that wait for their time, sent with their BEGIN
 * and COMMIT in one packet. The batch leaves a row under its own random id; whoever does not know whether it was
 * committed inserts a tombstone in its place, which waits for a transaction still under way and keeps one that comes
 * late from committing.
 *
 * A job that is there already under the same id is not added again, wherever it is: ids rise with time, so jobs of a
 * batch are looked for in one narrow range of each index. Two that add the same id at the same moment meet at the
 * unique index of the segment.
 */
import type { Enqueued, OutgoingJob } from "../../../parts/queue/index.ts";
import { type AppendEnd, commitWith } from "../commit-end.ts";
import { flushed, writeAtOnce } from "../log-transaction.ts";
import type { PgSession, Statement } from "../session.ts";
import { sqlStateOf } from "../session-error.ts";
import type { QueueStore } from "./queue-tables.ts";

/** Separates JSON texts in one parameter: a control character, which JSON.stringify always escapes. */
const separator = "\u001e";

/** Slots of evidence. */
const slots = [0, 1, 2, 3];

/** Which of the jobs `$2` are known, where: in `job`, a CTE with their ids. */
const knownSql = (store: QueueStore) => `
  select id from ${store.ready} where id between (select min(id::text) from job)::uuid and (select max(id::text) from job)::uuid
  union all select id from holdfast.queue_timer
   where queue = ${store.id} and id between (select min(id::text) from job)::uuid and (select max(id::text) from job)::uuid
  union all select id from holdfast.queue_kept
   where queue = ${store.id} and id between (select min(id::text) from job)::uuid and (select max(id::text) from job)::uuid`;

const jobCte = `
  select j.* from unnest($1::uuid[], string_to_array($2::text, E'\\x1e'), $3::int[], $4::text[], $5::text[], $6::text[],
      $7::text[], $8::text[], $9::float8[], $10::float8[])
    with ordinality as j (id, value, bytes, name, tags, unique_key, traceparent, session, after_ms, at_ms, n)`;

const readySql = (store: QueueStore) => `
with job as materialized (${jobCte}), known as materialized (${knownSql(store)}), added as (
  insert into ${store.ready} (segment, id, bytes, value, name, tags, unique_key, traceparent, session)
  select q.segment, j.id, j.bytes, j.value, j.name, j.tags::text[], j.unique_key, j.traceparent, j.session
    from holdfast.queue q, job j
   where q.id = ${store.id} and j.id not in (select id from known)
   order by j.n
)
select id from job where id in (select id from known)`;

const timerSql = (store: QueueStore) => `
with job as materialized (${jobCte}), known as materialized (${knownSql(store)}), added as (
  insert into holdfast.queue_timer (queue, id, due_at, turn, attempt, enqueued_at, bytes, value, name, tags, unique_key,
      traceparent, session)
  select ${store.id}, j.id,
         case when j.at_ms is null then clock_timestamp() + j.after_ms * interval '1 millisecond'
              else to_timestamp(j.at_ms / 1000) end,
         0, 1, clock_timestamp(), j.bytes, j.value, j.name, j.tags::text[], j.unique_key, j.traceparent, j.session
    from job j where j.id not in (select id from known)
)
select id from job where id in (select id from known)`;

export function isDelayed({ due }: OutgoingJob): boolean {
  return "atMs" in due || due.afterMs > 0;
}

/**
 * Statements that add jobs, for whatever READ WRITE transaction on the queue's home they are to be part of. Ids have to
 * differ. Each answers with the ids of those jobs that were there already, and were not added.
 */
export function enqueueStatements(store: QueueStore, jobs: readonly OutgoingJob[]): Statement[] {
  const delayed = jobs.filter(isDelayed);
  const ready = delayed.length === 0 ? jobs : jobs.filter((job) => !isDelayed(job));
  const statements: Statement[] = [];
  if (ready.length > 0) statements.push({ text: readySql(store), prepare: true, values: valuesOf(ready) });
  if (delayed.length > 0) statements.push({ text: timerSql(store), prepare: true, values: valuesOf(delayed) });
  return statements;
}

/** Evidence that the transaction was committed, under an id that is its own. */
export function evidenceStatement(id: string): Statement {
  return {
    text: "insert into holdfast.queue_evidence (id) values ($1::uuid)",
    prepare: true,
    values: [id],
  };
}

/** Columns that no job has are not sent: NULL for a whole array is NULL for each of its elements. */
function valuesOf(jobs: readonly OutgoingJob[]): unknown[] {
  const column = <T>(of: (job: OutgoingJob) => T | undefined): (T | null)[] | null =>
    jobs.some((job) => of(job) !== undefined) ? jobs.map((job) => of(job) ?? null) : null;
  return [
    jobs.map((job) => job.id),
    jobs.map((job) => job.json).join(separator),
    jobs.map((job) => job.json.length),
    column((job) => job.name),
    column((job) => (job.tags.length === 0 ? undefined : arrayText(job.tags))),
    column((job) => job.unique?.key),
    column((job) => job.traceparent),
    column((job) => job.session),
    column((job) => ("afterMs" in job.due ? job.due.afterMs : undefined)),
    column((job) => ("atMs" in job.due ? job.due.atMs : undefined)),
  ];
}

/** An array of text as Postgres writes it. */
function arrayText(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** Adds the jobs under the batch id. Never rejects. @param before further statements of the transaction, ahead */
export async function appendJobs(
  session: PgSession,
  store: QueueStore,
  jobs: readonly OutgoingJob[],
  id: string,
  before: readonly Statement[] = [],
): Promise<AppendEnd<readonly Enqueued[]>> {
  const distinct = [...new Map(jobs.map((job) => [job.id, job])).values()];
  for (let attempt = 1; ; attempt++) {
    session.push({ text: `begin read write; ${flushed}` });
    const statements = [...before, ...enqueueStatements(store, distinct)];
    const end = await commitWith(session, [evidenceStatement(id), ...statements], "jobs");
    if (end.kind !== "appended") {
      // Somebody added one of them at the same moment: now it is known.
      if (end.kind === "refused" && attempt < 3 && sqlStateOf(end.error) === "23505" && session.sound) continue;
      return end;
    }
    const known = new Set(
      end.answer.slice(1 + before.length).flatMap(({ rows }) => rows.map((row) => (row as { id: string }).id)),
    );
    return { kind: "appended", answer: jobs.map(({ id }) => ({ id, isNew: !known.has(id) })) };
  }
}

/**
 * Whether the batch was added, settled for good: asked again, it answers the same. Throws when the primary cannot
 * say in time.
 */
export async function settleJobs(session: PgSession, id: string): Promise<"appended" | "refused"> {
  const [{ rows }] = await writeAtOnce<[{ tombstone: boolean }]>(
    session,
    [
      {
        // In every slot, because nobody knows by which minute of the server's the batch went.
        text: `insert into holdfast.queue_evidence as e (slot, id, tombstone)
               select slot, $1::uuid, true from unnest($2::smallint[]) as slot order by slot
               on conflict (slot, id) do update set tombstone = e.tombstone returning tombstone`,
        values: [id, slots],
      },
    ],
    `set local lock_timeout = '2s'; ${flushed}`,
  );
  return rows.every(({ tombstone }) => tombstone) ? "refused" : "appended";
}

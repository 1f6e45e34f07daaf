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
import { ringSettings } from "./queue-window.ts";
import { takeUnique } from "./unique.ts";

/** Separates JSON texts in one parameter: a control character, which JSON.stringify always escapes. */
const separator = "\u001e";

/** Slots of evidence. */
const slots = [0, 1, 2, 3];

/** Which of the jobs may be known, wherever: `$11` and `$12` are the lowest and the highest of their ids. */
const knownSql = (store: QueueStore) => `
  select id from ${store.ready} where id between $11::uuid and $12::uuid
  union all select id from holdfast.queue_timer where queue = ${store.id} and id between $11::uuid and $12::uuid
  union all select id from holdfast.queue_kept where queue = ${store.id} and id between $11::uuid and $12::uuid`;

const jobCte = `
  select j.* from unnest($1::uuid[], string_to_array($2::text, E'\\x1e'), $3::int[], $4::text[], $5::text[], $6::text[],
      $7::text[], $8::text[], $9::float8[], $10::float8[])
    with ordinality as j (id, value, bytes, name, tags, unique_key, traceparent, session, after_ms, at_ms, n)`;

/** Of jobs whose unique key was taken for them before, in this transaction. */
const hasKey = (store: QueueStore) =>
  `and not exists (select from holdfast.queue_unique u
       where u.queue = ${store.id} and u.key = j.unique_key and u.job <> j.id)`;

const readySql = (store: QueueStore, keyed: boolean) => `
with job as materialized (${jobCte}), known as materialized (${knownSql(store)}), added as (
  insert into ${store.ready} (segment, id, bytes, value, name, tags, unique_key, traceparent, session)
  select q.segment, j.id, j.bytes, j.value, j.name, j.tags::text[], j.unique_key, j.traceparent, j.session
    from holdfast.queue q, job j
   where q.id = ${store.id} and j.id not in (select id from known) ${keyed ? hasKey(store) : ""}
   order by j.n
)
select id from job where id in (select id from known)`;

const timerSql = (store: QueueStore, keyed: boolean) => `
with job as materialized (${jobCte}), known as materialized (${knownSql(store)}), added as (
  insert into holdfast.queue_timer (queue, id, due_at, turn, attempt, enqueued_at, bytes, value, name, tags, unique_key,
      traceparent, session)
  select ${store.id}, j.id,
         case when j.at_ms is null then clock_timestamp() + j.after_ms * interval '1 millisecond'
              else to_timestamp(j.at_ms / 1000) end,
         0, 1, clock_timestamp(), j.bytes, j.value, j.name, j.tags::text[], j.unique_key, j.traceparent, j.session
    from job j where j.id not in (select id from known) ${keyed ? hasKey(store) : ""}
)
select id from job where id in (select id from known)`;

export function isDelayed({ due }: OutgoingJob): boolean {
  return "atMs" in due || due.afterMs > 0;
}

export interface EnqueueStatements {
  readonly statements: Statement[];
  /** From the answers of the statements: what became of each job. */
  readonly enqueued: (answers: readonly { readonly rows: readonly unknown[] }[]) => readonly Enqueued[];
}

/**
 * Statements that add jobs, for whatever READ WRITE transaction on the queue's home they are to be part of. Whoever
 * commits it tells workers afterwards (`published` of the home's wake-up, with the store's `wakeKey`); where nobody
 * does, their polling finds the jobs.
 */
export function enqueueStatements(store: QueueStore, jobs: readonly OutgoingJob[]): EnqueueStatements {
  const distinct = [...new Map(jobs.map((job) => [job.id, job])).values()];
  const wanted = distinct.flatMap(({ id, unique }) =>
    unique ? [{ job: id, key: unique.key, forMs: unique.forMs }] : [],
  );
  const keyed = wanted.length > 0;
  const delayed = distinct.filter(isDelayed);
  const ready = delayed.length === 0 ? distinct : distinct.filter((job) => !isDelayed(job));
  const statements: Statement[] = [{ text: ringSettings }];
  if (keyed) statements.push(takeUnique(store.id, wanted));
  if (ready.length > 0)
    statements.push({ text: readySql(store, keyed), prepare: true, values: valuesOf(ready) });
  if (delayed.length > 0)
    statements.push({ text: timerSql(store, keyed), prepare: true, values: valuesOf(delayed) });
  return {
    statements,
    enqueued: (answers) => {
      const holders = new Map<string, string>();
      if (keyed)
        for (const row of answers[1]?.rows ?? []) {
          const { job, holder } = row as { job: string; holder: string };
          holders.set(job, holder);
        }
      const known = new Set(
        answers.slice(keyed ? 2 : 1).flatMap(({ rows }) => rows.map((row) => (row as { id: string }).id)),
      );
      return jobs.map(({ id }) => {
        const holder = holders.get(id) ?? id;
        return { id: holder, isNew: holder === id && !known.has(id) };
      });
    },
  };
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
  const ids = jobs.map((job) => job.id);
  const column = <T>(of: (job: OutgoingJob) => T | undefined): (T | null)[] | null =>
    jobs.some((job) => of(job) !== undefined) ? jobs.map((job) => of(job) ?? null) : null;
  return [
    ids,
    jobs.map((job) => job.json).join(separator),
    jobs.map((job) => job.json.length),
    column((job) => job.name),
    column((job) => (job.tags.length === 0 ? undefined : arrayText(job.tags))),
    column((job) => job.unique?.key),
    column((job) => job.traceparent),
    column((job) => job.session),
    column((job) => ("afterMs" in job.due ? job.due.afterMs : undefined)),
    column((job) => ("atMs" in job.due ? job.due.atMs : undefined)),
    ids.reduce((a, b) => (a < b ? a : b)),
    ids.reduce((a, b) => (a > b ? a : b)),
  ];
}

/** An array of text as Postgres writes it. */
function arrayText(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** Adds the jobs under the batch id. Never rejects. @param begun whether a READ WRITE transaction is open already */
export async function appendJobs(
  session: PgSession,
  store: QueueStore,
  jobs: readonly OutgoingJob[],
  id: string,
  begun = false,
): Promise<AppendEnd<readonly Enqueued[]>> {
  const { statements, enqueued } = enqueueStatements(store, jobs);
  for (let attempt = 1; ; attempt++) {
    session.push({ text: begun ? flushed : `begin read write; ${flushed}` });
    const end = await commitWith(session, [evidenceStatement(id), ...statements], "jobs");
    if (end.kind === "appended") return { kind: "appended", answer: enqueued(end.answer.slice(1)) };
    // Somebody added one of them at the same moment: now it is known.
    const met = end.kind === "refused" && sqlStateOf(end.error) === "23505";
    if (!met || begun || attempt >= 3 || !session.sound) return end;
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

/**
 * Looking at jobs: by id, name, tag and state, page by page, in the order of ids.
 *
 * A job is in one place: in the ring under its newest turn, among those that wait for their time, or among those that
 * are kept because they are dead or cancelled. Its state in the ring follows from the cursor (waiting), the claim that
 * has it (active), and the claim's ends (done).
 */
import type { JobFailure, JobFilter, JobPage, JobState, JobView } from "../../../parts/queue/index.ts";
import type { PgSession } from "../session.ts";
import { heldSql } from "./queue-held.ts";
import type { QueueStore } from "./queue-tables.ts";
import { claimOf, cursorSql, unclaimed } from "./queue-window.ts";

/** How long what has ended is shown, in milliseconds. */
export interface Kept {
  readonly keepDoneMs: number;
  readonly keepDeadMs: number;
}

const common =
  "id, attempt, name, value, tags, date_part('epoch', enqueued_at) * 1000 as enqueued_ms, unique_key, failure";

/** Parameters of a search: ids, name, tag, code of the failure, the id after which it begins, the limit. */
const fits = (from: string) => `
  ($1::uuid[] is null or ${from}.id = any ($1)) and ($2::text is null or ${from}.name = $2)
  and ($3::text is null or ${from}.tags @> array[$3]) and ($4::text is null or ${from}.failure ->> 'code' = $4)
  and ($5::uuid is null or ${from}.id > $5)`;

const since = (ms: number) => `clock_timestamp() - ${ms} * interval '1 millisecond'`;

/** Jobs of the ring, each once. */
function ringJobs(store: QueueStore, filter: string, { keepDoneMs }: Kept): string {
  return `
  select r.id, r.attempt - case when c.sequence is null then 1 else 0 end as attempt, r.name, r.value, r.tags,
         date_part('epoch', r.enqueued_at) * 1000 as enqueued_ms, r.unique_key, r.failure,
         case when e.done then 'done' when c.sequence is not null then 'active' else 'waiting' end as state,
         null::float8 as due_ms, date_part('epoch', e.at) * 1000 as ended_ms, m.name as member, e.result,
         c.token
    from (select * from ${store.ready} r where ${filter} order by r.id, r.turn offset 0) r
   cross join (${cursorSql(store)}) o
    left join lateral (select * from (${claimOf(store, "r")}) c where not ${unclaimed("r", "o")}) c on true
    left join lateral (
      select e.done, e.at, e.results[array_position(e.result_seqs, r.seq)] as result
        from ${store.end} e where e.claim = c.sequence and e.seqs @> r.seq limit 1) e on true
    left join holdfast.queue_member m on m.queue = ${store.id} and m.token = c.token and e.done is null
   where e.done is null or (e.done and e.at > ${since(keepDoneMs)})`;
}

function timerJobs({ id }: QueueStore, filter: string): string {
  return `
  select ${common.replace("attempt", "attempt - 1 as attempt")}, 'delayed' as state,
         date_part('epoch', due_at) * 1000 as due_ms, null::float8 as ended_ms, null as member, null as result,
         null::bigint as token
    from holdfast.queue_timer t where queue = ${id} and ${filter}`;
}

function keptJobs({ id }: QueueStore, filter: string, { keepDoneMs, keepDeadMs }: Kept): string {
  return `
  select ${common}, state, null::float8 as due_ms, date_part('epoch', ended_at) * 1000 as ended_ms, null as member,
         null as result, null::bigint as token
    from holdfast.queue_kept k
   where queue = ${id} and ${filter}
     and ended_at > case state when 'dead' then ${since(keepDeadMs)} else ${since(keepDoneMs)} end`;
}

/** All places where jobs of that state may be. */
function jobsSql(store: QueueStore, state: JobState | undefined, kept: Kept): string {
  const places: string[] = [];
  const isOneOf = (...states: JobState[]) => state === undefined || states.includes(state);
  if (isOneOf("waiting", "active", "done")) {
    const held =
      state === "active" ? ` and r.id = any (array(select h.id from (${heldSql(store, "r.id")}) h))` : "";
    places.push(ringJobs(store, `${fits("r")}${held}`, kept));
  }
  if (isOneOf("delayed")) places.push(timerJobs(store, fits("t")));
  if (isOneOf("dead", "cancelled")) places.push(keptJobs(store, fits("k"), kept));
  const wanted = state === undefined ? "true" : `state = '${state}'`;
  return places
    .map((place) => `(select * from (${place}) j where ${wanted} order by id limit $6)`)
    .join(" union all ");
}

/** The one job `$1`, as a table of none or one row with `state` and `token`. */
export function oneJobSql(store: QueueStore, kept: Kept): string {
  return `
  select id, state, token from (${ringJobs(store, "r.id = $1::uuid", kept)}) j
  union all select id, state, token from (${timerJobs(store, "id = $1::uuid")}) j
  union all select id, state, token from (${keptJobs(store, "id = $1::uuid", kept)}) j`;
}

/** Those of which there is a row anywhere, whatever its state: one statement, so that none is seen between places. */
export async function knownJobs(
  session: PgSession,
  { id, ready }: QueueStore,
  ids: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await session.send<{ id: string }>({
    text: `
      select asked.id from unnest($1::uuid[]) as asked (id)
       where exists (select from ${ready} r where r.id = asked.id)
          or exists (select from holdfast.queue_timer t where t.queue = ${id} and t.id = asked.id)
          or exists (select from holdfast.queue_kept k where k.queue = ${id} and k.id = asked.id)`,
    values: [ids],
  });
  return rows.map((row) => row.id);
}

interface ViewRow {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly name: string | null;
  readonly value: string;
  readonly tags: string[] | null;
  readonly enqueued_ms: number;
  readonly due_ms: number | null;
  readonly ended_ms: number | null;
  readonly member: string | null;
  readonly progress: string | null;
  readonly result: string | null;
  readonly failure: JobFailure | null;
}

/** In the order of ids, `limit` at most. Jobs of this kind of queue have no group. */
export async function searchJobs(
  session: PgSession,
  store: QueueStore,
  filter: JobFilter,
  limit: number,
  after: string | undefined,
  kept: Kept,
): Promise<JobPage> {
  if (filter.group !== undefined) return { jobs: [], after: undefined };
  session.push({ text: "begin; set local enable_seqscan = off" });
  const found = session.send<ViewRow>({
    text: `select j.*, p.value as progress from (${jobsSql(store, filter.state, kept)}) j
             left join holdfast.queue_progress p on p.queue = ${store.id} and p.id = j.id
            order by j.id limit $6`,
    values: [
      filter.ids ?? null,
      filter.name ?? null,
      filter.tag ?? null,
      filter.failureCode ?? null,
      after ?? null,
      limit + 1,
    ],
  });
  const ended = session.push({ text: "commit" });
  const { rows } = await found.catch((error: unknown) => {
    session.taint();
    throw error;
  });
  await ended;
  const jobs = rows.slice(0, limit).map(viewOf);
  return { jobs, after: rows.length > limit ? jobs.at(-1)?.id : undefined };
}

function viewOf(row: ViewRow): JobView {
  const parsed = (json: string | null): unknown => (json === null ? undefined : JSON.parse(json));
  const ms = (value: number | null) => (value === null ? undefined : Math.round(value));
  return {
    id: row.id,
    state: row.state,
    attempt: row.attempt,
    name: row.name ?? undefined,
    value: parsed(row.value),
    group: undefined,
    priority: 0,
    tags: row.tags ?? [],
    enqueuedAtMs: Math.round(row.enqueued_ms),
    dueAtMs: ms(row.due_ms),
    endedAtMs: ms(row.ended_ms),
    member: row.member ?? undefined,
    progress: parsed(row.progress),
    result: parsed(row.result),
    failure: row.failure ?? undefined,
  };
}

/**
 * Looking at a selective queue: one job, a page of them, how many there are; and what is done to dead letters.
 *
 * A job is what `selective_job` says of it, and where it is: among the living, or among the ended for as long as they
 * are kept. What is kept no longer is not shown, also when nobody has cleared it away yet.
 */
import type {
  JobFailure,
  JobFilter,
  JobPage,
  JobState,
  JobView,
  QueueCounts,
  ResolvedQueueOptions,
} from "../../../../parts/queue/index.ts";
import { flushed, writeAtOnce } from "../../log-transaction.ts";
import type { PgSession } from "../../session.ts";

interface ViewRow {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly name: string | null;
  readonly group_name: string | null;
  readonly priority: number;
  readonly tags: string[] | null;
  readonly enqueued_ms: number;
  readonly due_ms: number | null;
  readonly ended_ms: number | null;
  readonly member: string | null;
  readonly value: unknown;
  readonly progress: unknown;
  readonly result: unknown;
  readonly failure_code: string | null;
  readonly failure_message: string | null;
  readonly failure_outcome: JobFailure["outcome"] | null;
}

type Keep = Pick<ResolvedQueueOptions, "keepDoneMs" | "keepDeadMs">;

const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`;
/** `$2` and `$3`: how long jobs are kept. */
const kept = `e.ended_at > clock_timestamp()
  - case when e.state = 'dead' then $3::float8 else $2::float8 end * interval '1 millisecond'`;

/** Which rows a state is among: so that few of them are not looked for among many. */
const among: { readonly [state in JobState]: string } = {
  waiting: "i.id is not null and i.member is null and (i.due_at is null or i.due_at <= clock_timestamp())",
  delayed: "i.member is null and i.due_at > clock_timestamp()",
  active: "i.member is not null",
  done: "e.state = 'done'",
  dead: "e.state = 'dead'",
  cancelled: "e.state = 'cancelled'",
};

export async function searchJobs(
  session: PgSession,
  queueId: number,
  keep: Keep,
  filter: JobFilter,
  limit: number,
  after: string | undefined,
): Promise<JobPage> {
  const values: unknown[] = [queueId, keep.keepDoneMs, keep.keepDeadMs];
  const conditions = ["j.queue = $1", `(i.id is not null or ${kept})`];
  const add = (condition: (parameter: string) => string, value: unknown) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  add((p) => `j.id > ${p}::uuid`, after);
  add((p) => `j.id = any (${p}::uuid[])`, filter.ids);
  add((p) => `j.name = ${p}`, filter.name);
  add((p) => `j.group_name = ${p}`, filter.group);
  add((p) => `j.tags @> array[${p}::text]`, filter.tag);
  add((p) => `coalesce(e.failure_code, i.failure_code) = ${p}`, filter.failureCode);
  if (filter.state) conditions.push(among[filter.state]);
  values.push(limit + 1);
  const { rows } = await session.send<ViewRow>({
    text: `
      select j.id, j.name, j.group_name, j.priority, j.tags, j.value, ${ms("j.enqueued_at")} as enqueued_ms,
             case when e.id is not null then e.state when i.member is not null then 'active'
               when i.due_at > clock_timestamp() then 'delayed' else 'waiting' end as state,
             coalesce(i.attempt, e.attempt) as attempt, ${ms("i.due_at")} as due_ms, ${ms("e.ended_at")} as ended_ms,
             m.name as member, coalesce(i.progress, e.progress) as progress, e.result,
             coalesce(i.failure_code, e.failure_code) as failure_code,
             coalesce(i.failure_message, e.failure_message) as failure_message,
             coalesce(i.failure_outcome, e.failure_outcome) as failure_outcome
        from holdfast.selective_job j
        left join holdfast.selective_item i on i.queue = j.queue and i.id = j.id
        left join holdfast.selective_ended e on e.queue = j.queue and e.id = j.id
        left join holdfast.queue_member m on m.queue = i.queue and m.token = i.member
       where ${conditions.join("\n         and ")}
       order by j.id limit $${values.length}`,
    values,
  });
  const page = rows.slice(0, limit);
  return { jobs: page.map(viewOf), after: rows.length > limit ? page.at(-1)?.id : undefined };
}

function viewOf(row: ViewRow): JobView {
  const { failure_code: code, failure_message: message, failure_outcome: outcome } = row;
  return {
    id: row.id,
    state: row.state,
    attempt: row.attempt,
    name: row.name ?? undefined,
    value: row.value,
    group: row.group_name ?? undefined,
    priority: row.priority,
    tags: row.tags ?? [],
    enqueuedAtMs: row.enqueued_ms,
    dueAtMs: row.state === "delayed" ? (row.due_ms ?? undefined) : undefined,
    endedAtMs: row.ended_ms ?? undefined,
    member: row.member ?? undefined,
    progress: row.progress ?? undefined,
    result: row.result ?? undefined,
    failure: code === null || outcome === null ? undefined : { code, message: message ?? "", outcome },
  };
}

/** Those of which there is a row, also when it is not shown any more. */
export async function knownJobs(
  session: PgSession,
  queueId: number,
  ids: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await session.send<{ id: string }>({
    text: "select id from holdfast.selective_job where queue = $1 and id = any ($2::uuid[])",
    values: [queueId, ids],
  });
  return rows.map((row) => row.id);
}

export async function countJobs(session: PgSession, queueId: number, keep: Keep): Promise<QueueCounts> {
  const { rows } = await session.send<{
    readonly waiting: number;
    readonly delayed: number;
    readonly active: number;
    readonly dead: number;
    readonly oldest_ms: number | null;
    readonly paused: boolean;
  }>({
    text: `
      select l.*, q.paused,
             (select count(*)::int from holdfast.selective_ended e
               where e.queue = $1 and e.state = 'dead'
                 and e.ended_at > clock_timestamp() - $2::float8 * interval '1 millisecond') as dead
        from holdfast.queue q, (
          select count(*) filter (where ${among.waiting})::int as waiting,
                 count(*) filter (where ${among.delayed})::int as delayed,
                 count(*) filter (where ${among.active})::int as active,
                 ${ms(`max(clock_timestamp() - i.since) filter (where ${among.waiting})`)} as oldest_ms
            from holdfast.selective_item i where i.queue = $1) l
       where q.id = $1`,
    values: [queueId, keep.keepDeadMs],
  });
  const {
    waiting = 0,
    delayed = 0,
    active = 0,
    dead = 0,
    oldest_ms: oldestMs,
    paused = false,
  } = rows[0] ?? {};
  return { waiting, delayed, active, dead, oldestWaitingMs: Math.max(0, oldestMs ?? 0), paused };
}

type DeadFilter = Omit<JobFilter, "state">;

/** Ids of dead letters that fit. */
async function deadIds(
  session: PgSession,
  queueId: number,
  keep: Keep,
  filter: DeadFilter,
  limit: number,
): Promise<readonly string[]> {
  const { jobs } = await searchJobs(session, queueId, keep, { ...filter, state: "dead" }, limit, undefined);
  return jobs.map(({ id }) => id);
}

export async function redriveJobs(
  session: PgSession,
  queueId: number,
  keep: Keep,
  filter: DeadFilter,
  limit: number,
  rules: string,
): Promise<number> {
  const ids = await deadIds(session, queueId, keep, filter, limit);
  const redrive = {
    text: "select holdfast.selective_redrive($1, $2::uuid[], $3::jsonb) as redriven",
    values: [queueId, ids, rules],
  };
  const [{ rows }] = await writeAtOnce<[{ redriven: number }]>(session, [redrive], flushed);
  return rows[0]?.redriven ?? 0;
}

export async function discardJobs(
  session: PgSession,
  queueId: number,
  keep: Keep,
  filter: DeadFilter,
  limit: number,
): Promise<number> {
  const ids = await deadIds(session, queueId, keep, filter, limit);
  const discard = {
    text: `with gone as (
             delete from holdfast.selective_ended where queue = $1 and id = any ($2::uuid[]) and state = 'dead' returning id
           )
           delete from holdfast.selective_job j using gone where j.queue = $1 and j.id = gone.id`,
    values: [queueId, ids],
  };
  const [{ rowCount }] = await writeAtOnce(session, [discard], flushed);
  return rowCount ?? 0;
}

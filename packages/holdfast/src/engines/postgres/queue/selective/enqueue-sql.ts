/**
 * Enqueuing, as one function: groups that are not there yet, unique keys, the queue's bound, jobs, and groups that have
 * something to do now.
 *
 * It holds the locks of its groups until its commit, so that the places of jobs in an ordered group rise in the order of
 * commits: whoever sees a job sees all that stand before it. It adds to lists under the shared gate (`floors.ts`).
 */
import { byIndex, gateLock } from "./settle-sql.ts";

/** SQLSTATE of a queue that has no room: of a value that does not fit, so that the others of its batch are tried alone. */
export const queueFullState = "22Q01";

export const selectiveEnqueueSql = `
-- Jobs as JSON without their values, which come as JSON texts between record separators (a value may have escapes that
-- Postgres does not read). Answers who has each job's place: itself, or the job with its unique key.
create function holdfast.selective_enqueue(of_queue int, jobs json, job_values text, rules jsonb)
returns table (job uuid, holder uuid)
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
  in_order constant boolean := (rules ->> 'ordered')::boolean;
  aging_ms constant float8 := (rules ->> 'agingMs')::float8;
  length_max constant bigint := (rules ->> 'lengthMax')::bigint;
  names text[];
  groups bigint[];
  group_names text[];
  taken_jobs uuid[] := '{}';
  taken_by uuid[] := '{}';
  long bigint;
  added bigint;
  heads bigint[];
begin
  perform pg_advisory_xact_lock_shared(${gateLock});
  select array_agg(distinct coalesce(j.g, '') collate "C") into names from json_to_recordset(jobs) as j (g text);
  loop
    insert into holdfast.selective_group (queue, name)
    select of_queue, n from unnest(names) n
     where not exists (
       select from holdfast.selective_group g where g.queue = of_queue and not g.whole and g.name = n)
     order by n
    on conflict do nothing;
    select array_agg(g.id), array_agg(g.name) into groups, group_names from (
      select g.id, g.name from holdfast.selective_group g
       where g.queue = of_queue and not g.whole and g.name = any (names) order by g.id for no key update) g;
    exit when cardinality(groups) = cardinality(names); -- else one was forgotten in between, and is made anew
  end loop;

  select array_agg(t.job), array_agg(t.holder) into taken_jobs, taken_by
    from (select array_agg(j.id) as ids, array_agg(j.u) as keys, array_agg(coalesce(j.f, 0)) as for_ms
            from json_to_recordset(jobs) as j (id uuid, u text, f float8) where j.u is not null) k,
         holdfast.queue_take_unique(of_queue, k.ids, k.keys, k.for_ms) t
   where k.ids is not null and t.job <> t.holder;

  with job as materialized (
    select j.* from rows from (
        json_to_recordset(jobs) as (id uuid, g text, n text, p smallint, after float8, until float8, t text[], tp text, s text),
        unnest(string_to_array(job_values, E'\\x1e'))
      ) with ordinality as j (id, g, n, p, after, until, t, tp, s, v, nth)
     where j.id <> all (coalesce(taken_jobs, '{}'))
  ), placed as materialized (
    select job.*, groups[array_position(group_names, coalesce(job.g, ''))] as grp,
           nullif(greatest(at, case when job.until is not null then to_timestamp(job.until / 1000)
             else at + coalesce(job.after, 0) * interval '1 millisecond' end), at) as due_at
      from job
  ), told as (
    insert into holdfast.selective_job (queue, id, grp, group_name, name, priority, tags, traceparent, session, value)
    select of_queue, p.id, p.grp, p.g, p.n, p.p, nullif(p.t, '{}'), p.tp, p.s, p.v::json from placed p order by p.nth
    on conflict do nothing -- the same job, sent again
    returning id
  ), stood as (
    insert into holdfast.selective_item (queue, id, grp, place, ready, due_at, since, bytes)
    select of_queue, p.id, p.grp,
           case when in_order then nextval('holdfast.selective_place')
             else (extract(epoch from coalesce(p.due_at, at)) * 1000000 - p.p * coalesce(aging_ms, 0) * 1000)::bigint end,
           in_order or p.due_at is null, p.due_at, coalesce(p.due_at, at), octet_length(p.v)
      from (select p.* from placed p join told on told.id = p.id order by p.nth) p
    returning grp, place, ready
  ), first as (
    select grp, min(place) filter (where ready) as place, count(*) as n from stood group by grp
  )
  select coalesce(sum(first.n), 0),
         array_agg((select f.place from first f where f.grp = wanted.grp) order by wanted.at)
    into added, heads
    from unnest(groups) with ordinality as wanted (grp, at) left join first on first.grp = wanted.grp;

  if added > 0 then
    long := holdfast.selective_long(of_queue);
    if long + added > length_max then
      raise exception using errcode = '${queueFullState}',
        message = format('%s jobs wait, and %s more would be over the most that may, %s', long, added, length_max);
    end if;
    perform holdfast.selective_settle(of_queue, groups, array_fill(0, array[cardinality(groups)]),
      array_fill(0, array[cardinality(groups)]), heads, array_fill(null::int, array[cardinality(groups)]), false, rules);
    perform holdfast.selective_lengthen(of_queue, added);
  end if;
  return query
    select j.id, coalesce(taken_by[array_position(taken_jobs, j.id)], j.id) from json_to_recordset(jobs) as j (id uuid);
end $$;
`;

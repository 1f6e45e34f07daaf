/**
 * The ends of attempts and of jobs, as functions: finished, given back, lost, cancelled, redriven.
 *
 * An end counts when the job is still held by the same member through the same claim, which is to say: once. Told again,
 * because the first answer got lost, it finds nothing and changes nothing. Whatever frees room in a group, or makes its
 * next job the head, settles the group in the same transaction.
 */
import { byIndex, gateLock } from "./settle-sql.ts";

/** As `jobLostFailure` says it; %1$s is the member, %2$s the attempt. */
const lostMessage =
  "%1$s stopped renewing its lease during attempt %2$s: it was killed, stood still, or was cut off.";

export const selectiveEndSql = `
-- Ends of attempts: [{id, m: member, c: claim, k: kind, a: after ms, e: code, t: text, o: outcome}], and results as JSON
-- texts between record separators (empty: none). Kinds: done, dead, cancelled, retry, released. Answers those that
-- counted, with the state that each job is in now.
create function holdfast.selective_end(of_queue int, ends json, results text, rules jsonb)
returns table (job uuid, state text)
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at timestamptz;
  in_order constant boolean := (rules ->> 'ordered')::boolean;
  groups bigint[];
  jobs uuid[];
  states text[];
  whole bigint;
  ran int[];
  heads bigint[];
  back bigint;
begin
  perform pg_advisory_xact_lock_shared(${gateLock});
  -- Groups that this changes: those with a job that counts as running, or that comes back.
  groups := array(
    select distinct i.grp from json_to_recordset(ends) as e (id uuid, k text)
      join holdfast.selective_item i on i.queue = of_queue and i.id = e.id
     where i.counted or e.k in ('retry', 'released'));
  if cardinality(groups) > 0 and rules ->> 'queueMax' is not null then
    groups := groups || array(select g.id from holdfast.selective_group g where g.queue = of_queue and g.whole);
  end if;
  if cardinality(groups) > 0 then groups := holdfast.selective_lock(groups, true); end if;
  at := clock_timestamp();

  with told as materialized (
    select e.* from rows from (
        json_to_recordset(ends) as (id uuid, m bigint, c uuid, k text, a float8, e text, t text, o text),
        unnest(string_to_array(results, E'\\x1e'))
      ) as e (id, m, c, k, a, code, message, outcome, result)
  ), hit as materialized (
    select i.*, t.code, t.message, t.outcome, t.a, nullif(t.result, '')::json as result,
           case when t.k = 'retry' and i.cancel then 'cancelled'
                when t.k = 'released' and i.cancel then 'cancelled' else t.k end as kind
      from told t join holdfast.selective_item i on i.queue = of_queue and i.id = t.id
     where i.member = t.m and i.claim = t.c
     order by i.id for update of i
  ), gone as (
    delete from holdfast.selective_item i using hit
     where i.queue = of_queue and i.id = hit.id and hit.kind not in ('retry', 'released')
  ), ended as (
    insert into holdfast.selective_ended
      (queue, id, state, attempt, result, progress, failure_code, failure_message, failure_outcome)
    select of_queue, id, kind, attempt, result, progress, coalesce(code, failure_code),
           coalesce(message, failure_message), coalesce(outcome, failure_outcome)
      from hit where kind not in ('retry', 'released')
  ), again as (
    update holdfast.selective_item i
       set member = null, claim = null, counted = false,
           attempt = i.attempt - (hit.kind = 'released')::int,
           due_at = case when hit.a > 0 then at + hit.a * interval '1 millisecond' end,
           ready = in_order or coalesce(hit.a, 0) <= 0,
           -- A job whose pause is over joins behind those that have waited longer; in order it stays where it was.
           place = case when in_order or coalesce(hit.a, 0) <= 0 then i.place
             else i.place + (extract(epoch from at - i.since) * 1000000 + hit.a * 1000)::bigint end,
           since = at + coalesce(hit.a, 0) * interval '1 millisecond',
           failure_code = coalesce(hit.code, i.failure_code),
           failure_message = coalesce(hit.message, i.failure_message),
           failure_outcome = coalesce(hit.outcome, i.failure_outcome)
      from hit where i.queue = of_queue and i.id = hit.id and hit.kind in ('retry', 'released')
    returning i.grp, i.place, i.ready
  ), change as (
    select g.grp,
           coalesce((select -count(*)::int from hit where hit.counted and (hit.grp = g.grp or w.whole)), 0) as ran,
           (select min(again.place) from again where again.grp = g.grp and again.ready) as head
      from unnest(groups) g (grp) join holdfast.selective_group w on w.id = g.grp
  )
  select (select array_agg(hit.id) from hit),
         (select array_agg(case hit.kind when 'released' then 'waiting'
             when 'retry' then case when hit.a > 0 then 'delayed' else 'waiting' end else hit.kind end) from hit),
         (select array_agg(change.grp) from change), (select array_agg(change.ran) from change),
         (select array_agg(change.head) from change), (select count(*) from again)
    into jobs, states, groups, ran, heads, back;

  perform holdfast.queue_release_unique(of_queue, array(
    select j from unnest(jobs, states) as ended (j, s) where s in ('done', 'dead', 'cancelled')));
  if cardinality(groups) > 0 then
    perform holdfast.selective_settle(of_queue, groups, ran, array_fill(0, array[cardinality(groups)]), heads,
      array_fill(null::int, array[cardinality(groups)]), false, rules);
  end if;
  perform holdfast.selective_lengthen(of_queue, back);
  return query select * from unnest(jobs, states);
end $$;

-- Gives back what members hold, all or only through some claims: as lost (their lease is over), or as released.
create function holdfast.selective_back(of_queue int, members bigint[], only_claims uuid[], lost boolean, rules jsonb)
returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  ends json;
  results text;
begin
  select json_agg(json_build_object('id', i.id, 'm', i.member, 'c', i.claim, 'a', 0,
           'k', case when not lost then 'released'
                     when i.cancel then 'cancelled'
                     when (rules ->> 'lostIsDead')::boolean or i.attempt >= (rules ->> 'attemptsMax')::int then 'dead'
                     else 'retry' end,
           'e', case when lost then 'HOLDFAST_JOB_LOST' end,
           't', case when lost then format('${lostMessage}', m.name, i.attempt) end,
           'o', case when lost then 'unknown' end)),
         string_agg('', E'\\x1e')
    into ends, results
    from holdfast.selective_item i join holdfast.queue_member m on m.queue = of_queue and m.token = i.member
   where i.queue = of_queue and i.member = any (members) and (only_claims is null or i.claim = any (only_claims));
  if ends is not null then perform holdfast.selective_end(of_queue, ends, results, rules); end if;
end $$;

-- Members whose lease is over are gone, and what they held comes again. One that is reporting just now is left alone, as is
-- whoever asks: its lease may have run out after it passed the fence, and what it is about to take has to be its own.
create function holdfast.selective_reap(of_queue int, but_member bigint, rules jsonb) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  gone bigint[];
begin
  gone := array(
    select m.token from holdfast.queue_member m
     where m.queue = of_queue and m.expires_at <= clock_timestamp() and m.token <> but_member
     order by m.token for update skip locked);
  if cardinality(gone) = 0 then return; end if;
  perform holdfast.selective_back(of_queue, gone, null, true, rules);
  delete from holdfast.queue_member m where m.queue = of_queue and m.token = any (gone);
end $$;

-- A member that goes: what it holds is released.
create function holdfast.selective_leave(of_queue int, of_token bigint, of_name text, rules jsonb) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
begin
  perform from holdfast.queue_member m
    where m.queue = of_queue and m.token = of_token and m.name = of_name for update;
  if not found then return; end if;
  perform holdfast.selective_back(of_queue, array[of_token], null, false, rules);
  delete from holdfast.queue_member m where m.queue = of_queue and m.token = of_token;
end $$;

create function holdfast.selective_cancel(of_queue int, job uuid, rules jsonb) returns text
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  group_id bigint;
  there holdfast.selective_item%rowtype;
begin
  perform pg_advisory_xact_lock_shared(${gateLock});
  select i.grp into group_id from holdfast.selective_item i where i.queue = of_queue and i.id = job;
  if found then
    perform holdfast.selective_lock(array[group_id], true);
    update holdfast.selective_item i set cancel = true where i.queue = of_queue and i.id = job returning i.* into there;
  end if;
  if there.id is null then
    return case when exists (select from holdfast.selective_ended e where e.queue = of_queue and e.id = job)
      then 'ended' else 'unknown' end;
  end if;
  if there.member is not null then return 'requested'; end if;
  delete from holdfast.selective_item i where i.queue = of_queue and i.id = job;
  insert into holdfast.selective_ended
    (queue, id, state, attempt, progress, failure_code, failure_message, failure_outcome)
  values (of_queue, job, 'cancelled', there.attempt, there.progress, there.failure_code, there.failure_message,
    there.failure_outcome);
  perform holdfast.queue_release_unique(of_queue, array[job]);
  perform holdfast.selective_settle(of_queue, array[group_id], array[0], array[0], array[null::bigint],
    array[null::int], false, rules);
  perform holdfast.selective_lengthen(of_queue, -1);
  return 'cancelled';
end $$;

-- Dead letters run again from attempt 1, at the end of their groups. Answers how many did.
create function holdfast.selective_redrive(of_queue int, jobs uuid[], rules jsonb) returns int
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
  groups bigint[];
  heads bigint[];
  n int;
begin
  perform pg_advisory_xact_lock_shared(${gateLock});
  -- A group that was forgotten since is made anew.
  insert into holdfast.selective_group (queue, name)
  select distinct of_queue, coalesce(j.group_name, '') collate "C" as name from holdfast.selective_job j
   where j.queue = of_queue and j.id = any (jobs) order by name on conflict do nothing;
  groups := holdfast.selective_lock(array(
    select g.id from holdfast.selective_group g where g.queue = of_queue and not g.whole and g.name = any (array(
      select coalesce(j.group_name, '') from holdfast.selective_job j where j.queue = of_queue and j.id = any (jobs)))),
    true);
  with dead as (
    delete from holdfast.selective_ended e where e.queue = of_queue and e.id = any (jobs) and e.state = 'dead'
    returning e.id
  ), stood as (
    insert into holdfast.selective_item (queue, id, grp, place, ready, since, bytes)
    select of_queue, j.id, g.id,
           case when (rules ->> 'ordered')::boolean then nextval('holdfast.selective_place')
             else (extract(epoch from at) * 1000000 - j.priority * coalesce((rules ->> 'agingMs')::float8, 0) * 1000)::bigint end,
           true, at, octet_length(j.value::text)
      from (select j.* from dead join holdfast.selective_job j on j.queue = of_queue and j.id = dead.id order by j.id) j
      join holdfast.selective_group g
        on g.queue = of_queue and not g.whole and g.name = coalesce(j.group_name, '') and g.id = any (groups)
    returning grp, place
  )
  select array_agg((select min(stood.place) from stood where stood.grp = wanted.grp) order by wanted.n),
         (select count(*) from stood)
    into heads, n from unnest(groups) with ordinality as wanted (grp, n);
  if n > 0 then
    perform holdfast.selective_settle(of_queue, groups, array_fill(0, array[cardinality(groups)]),
      array_fill(0, array[cardinality(groups)]), heads, array_fill(null::int, array[cardinality(groups)]), false, rules);
    perform holdfast.selective_lengthen(of_queue, n);
  end if;
  return coalesce(n, 0);
end $$;
`;

/**
 * Claiming, as one function: claims of a queue take turns, so that every count and bucket has one writer, and a claim is
 * over when its packet has been read: a claimer that is paused in the middle holds up nobody.
 *
 * Which jobs is decided as in `planTurns` of `parts/queue/turn-plan.ts`: groups stand in a line; each gives one job, then
 * each another, until there are enough; whoever gave stands behind whoever did not, in the order in which they gave last.
 *
 * A group that somebody else has locked for a moment (it is being enqueued to, say) is passed over as a whole and keeps
 * its turn. Never a job: within a group the head is the head.
 */
import { byIndex, claimLock, gateLock } from "./settle-sql.ts";

export const selectiveClaimSql = `
-- Groups whose time has come, and delayed jobs that are due, join their lines.
create function holdfast.selective_wake(of_queue int, wake_from timestamptz, due_from timestamptz, rules jsonb) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
  late uuid[];
  late_groups bigint[];
  groups bigint[];
  heads bigint[];
begin
  select array_agg(i.id), array_agg(i.grp) into late, late_groups from (
    select i.id, i.grp from holdfast.selective_item i
     where i.queue = of_queue and i.member is null and not i.ready and i.due_at <= at and i.due_at >= due_from
     order by i.due_at limit 1000) i;
  groups := array(
    select s.grp from holdfast.selective_state s
     where s.queue = of_queue and s.wake_at <= at and s.wake_at >= wake_from order by s.wake_at limit 250);
  groups := array(select distinct g from unnest(groups || coalesce(late_groups, '{}')) g);
  if cardinality(groups) = 0 then return; end if;
  perform pg_advisory_xact_lock_shared(${gateLock});
  groups := holdfast.selective_lock(groups, false);
  if cardinality(groups) = 0 then return; end if;
  with due as (
    update holdfast.selective_item i set ready = true, due_at = null
     where i.queue = of_queue and i.id = any (late) and i.grp = any (groups) and i.member is null and not i.ready
     returning i.grp, i.place
  )
  select array_agg((select min(due.place) from due where due.grp = wanted.grp) order by wanted.n) into heads
    from unnest(groups) with ordinality as wanted (grp, n);
  perform holdfast.selective_settle(of_queue, groups, array_fill(0, array[cardinality(groups)]),
    array_fill(0, array[cardinality(groups)]), heads, array_fill(null::int, array[cardinality(groups)]), false, rules);
end $$;

create function holdfast.selective_claim(
  of_queue int, by_member bigint, as_claim uuid, jobs_max int, bytes_max bigint, rules jsonb,
  turn_from bigint, wake_from timestamptz, due_from timestamptz
) returns table (
  id uuid, attempt int, name text, group_name text, priority smallint, tags text[], enqueued_ms float8,
  traceparent text, session text, value json, next_ms float8, now_ms float8
)
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at timestamptz;
  in_order constant boolean := (rules ->> 'ordered')::boolean;
  counts constant boolean := rules ->> 'groupMax' is not null or rules ->> 'queueMax' is not null;
  room int := jobs_max;
  whole bigint;
  next_at timestamptz;
  asked bigint[];
  line bigint[];
  rooms int[];
  quota int;
  hungry boolean;
  ids uuid[] := '{}';
  grps bigint[];
  places bigint[];
  took int := 0;
begin
  perform pg_advisory_xact_lock(${claimLock});
  perform holdfast.selective_reap(of_queue, by_member, rules);
  if (select q.paused from holdfast.queue q where q.id = of_queue) then return; end if;
  perform holdfast.selective_wake(of_queue, wake_from, due_from, rules);

  at := clock_timestamp();
  if rules ->> 'queueMax' is not null or rules ->> 'queueEveryMs' is not null then
    select g.id into whole from holdfast.selective_group g where g.queue = of_queue and g.whole for no key update;
    select least(room, holdfast.selective_max(rules, true) - s.running,
             holdfast.selective_tokens(rules, true, s.spent_until, at)),
           case when holdfast.selective_tokens(rules, true, s.spent_until, at) < 1
             then least(s.spent_until, at + holdfast.selective_fill(rules, true))
               - holdfast.selective_fill(rules, true) + holdfast.selective_every(rules, true) end
      into room, next_at
      from holdfast.selective_state s where s.grp = whole order by s.version desc limit 1;
  end if;

  if room > 0 then
    asked := array(
      select s.grp from holdfast.selective_state s
       where s.queue = of_queue and s.turn >= turn_from order by s.turn limit room);
    line := holdfast.selective_lock(asked, false);
    -- All of them are busy: then it is worth waiting for the first one.
    if cardinality(line) = 0 and cardinality(asked) > 0 then
      line := holdfast.selective_lock(asked[1:1], true);
    end if;
    select array_agg(s.grp order by s.turn), array_agg(s.most order by s.turn) into line, rooms from (
      select s.grp, s.turn, least(room, holdfast.selective_max(rules, false) - s.running,
               holdfast.selective_tokens(rules, false, s.spent_until, at)) as most
        from unnest(line) l (grp), lateral (
          select * from holdfast.selective_state s where s.grp = l.grp order by s.version desc limit 1) s
       where s.turn is not null) s;
  end if;

  quota := ceil(room::float8 / greatest(1, cardinality(line)));
  while cardinality(line) > 0 loop
    with head as materialized (
      select g.place as rank, g.grp, i.id, i.place, i.bytes, i.due_at,
             row_number() over (partition by g.place order by i.place, i.id) as nth, g.most
        from unnest(line, rooms) with ordinality as g (grp, most, place),
        lateral (select s.head from holdfast.selective_state s where s.grp = g.grp order by s.version desc limit 1) s,
        lateral (
          select i.id, i.place, i.bytes, i.due_at from holdfast.selective_item i
           where i.queue = of_queue and i.grp = g.grp and i.member is null and i.ready
             and i.place >= coalesce(s.head, -9223372036854775808)
           order by i.place, i.id limit least(quota, g.most)) i
    ), ranked as (
      select *, row_number() over (order by nth, rank) as k, sum(bytes) over (order by nth, rank) as total
        from head where due_at is null or due_at <= at
    ), chosen as (
      select * from ranked where k <= room and (total <= bytes_max or k = 1)
    )
    select array_agg(id order by k), array_agg(grp order by k), array_agg(place order by k),
           -- A group gave all that it was asked for, has more room, and more are wanted.
           (select count(*) from ranked) < room and (select bool_or(nth = quota and most > quota) from head)
      into ids, grps, places, hungry from chosen;
    exit when not coalesce(hungry, false);
    quota := quota * 4;
  end loop;
  took := coalesce(cardinality(ids), 0);

  if cardinality(line) > 0 then
    update holdfast.selective_item i
       set member = by_member, claim = as_claim, attempt = i.attempt + 1, counted = counts, due_at = null, cancel = false
     where i.queue = of_queue and i.id = any (ids);
    perform pg_advisory_xact_lock_shared(${gateLock});
    perform holdfast.selective_settle(of_queue, array_agg(c.grp order by c.n), array_agg(c.took * counts::int order by c.n),
        array_agg(c.took order by c.n), array_agg(c.head order by c.n), array_agg(c.last order by c.n), true, rules)
      from (
        select l.grp, l.n, count(t.grp)::int as took, max(t.place) as head, max(t.k)::int as last
          from unnest(line) with ordinality as l (grp, n)
          left join unnest(grps, places) with ordinality as t (grp, place, k) on t.grp = l.grp
         group by l.grp, l.n) c;
    if whole is not null and took > 0 then
      perform holdfast.selective_settle(of_queue, array[whole], array[took * counts::int], array[took],
        array[null::bigint], array[null::int], true, rules);
    end if;
    perform holdfast.selective_lengthen(of_queue, -took);
  end if;

  return query
    select i.id, i.attempt, j.name, j.group_name, j.priority, j.tags, extract(epoch from j.enqueued_at)::float8 * 1000, j.traceparent, j.session, j.value,
           null::float8, null::float8
      from unnest(ids) with ordinality as t (id, k)
      join holdfast.selective_item i on i.queue = of_queue and i.id = t.id
      join holdfast.selective_job j on j.queue = of_queue and j.id = t.id
     order by t.k;
  -- When it is worth asking again, if nothing else happens.
  next_at := coalesce(next_at, least(
    (select s.wake_at from holdfast.selective_state s
      where s.queue = of_queue and s.wake_at >= wake_from order by s.wake_at limit 1),
    (select i.due_at from holdfast.selective_item i
      where i.queue = of_queue and i.member is null and not i.ready and i.due_at >= due_from order by i.due_at limit 1)));
  return query
    select null::uuid, null::int, null::text, null::text, null::smallint, null::text[], null::float8, null::text,
           null::text, null::json, extract(epoch from next_at - at)::float8 * 1000, extract(epoch from at)::float8 * 1000;
end $$;
`;

/**
 * Functions that every change of a group ends with: what is the group ready for now?
 *
 * `selective_settle` restates `settleGroup` of `parts/queue/group-step.ts`. Its caller holds the locks of the groups.
 *
 * A bucket is one moment, at which it would be full again: `count` jobs may begin at once when that lies in the past,
 * and each that begins moves it by perMs / count. A moment that lies further ahead than an empty bucket needs can only
 * come from a clock that has been set back since, and counts as an empty bucket: so a changed clock costs at most the
 * time of one bucket, and never stops a queue.
 *
 * Plans of these functions must not depend on what the server believes of tables that were empty a moment ago: each
 * statement has one right index, and other ways are priced out.
 */

import { lockOf, queueLock } from "../queue-tables.ts";

/** Of a function whose statements look few rows up in tables of any size. */
export const byIndex =
  "set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off";

/** Keys of a queue's advisory locks, as SQL where `of_queue` is its number: claims, one at a time. */
export const claimLock = `${queueLock(0)} + of_queue, ${lockOf.claim}`;
/** Whoever adds to a list that is read from its head: together, but not while `floors.ts` looks where lists begin. */
export const gateLock = `${queueLock(0)} + of_queue, 3`;
/** The slots of lengths, from here. */
const lengthSlot = 16;

export const selectiveSettleSql = `
-- What a declaration asks for, of a group (whole: of the queue).
create function holdfast.selective_max(rules jsonb, whole boolean) returns int
language sql immutable parallel safe as $$
  select (rules ->> case when whole then 'queueMax' else 'groupMax' end)::int
$$;
-- Time in which one token comes.
create function holdfast.selective_every(rules jsonb, whole boolean) returns interval
language sql immutable parallel safe as $$
  select (rules ->> case when whole then 'queueEveryMs' else 'groupEveryMs' end)::float8 * interval '1 millisecond'
$$;
-- Time in which an empty bucket fills.
create function holdfast.selective_fill(rules jsonb, whole boolean) returns interval
language sql immutable parallel safe as $$
  select (rules ->> case when whole then 'queueFillMs' else 'groupFillMs' end)::float8 * interval '1 millisecond'
$$;
-- Jobs that may begin now by the bucket; null: as many as you like.
create function holdfast.selective_tokens(rules jsonb, whole boolean, spent_until timestamptz, at timestamptz) returns int
language sql immutable parallel safe as $$
  select floor(1e-6 + extract(epoch from holdfast.selective_fill(rules, whole)
      - (greatest(least(spent_until, at + holdfast.selective_fill(rules, whole)), at) - at))
    / extract(epoch from holdfast.selective_every(rules, whole)))::int
$$;

-- Groups locked by the caller, each once. For each: by how many its running attempts grew, how many jobs began, where
-- its line begins now (raising: from there; else: there, if that is lower), and in which place of this claim it was
-- served last (null: not at all, it keeps its turn).
create function holdfast.selective_settle(
  of_queue int, groups bigint[], ran int[], began int[], heads bigint[], served int[], raising boolean, rules jsonb
) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
  in_order constant boolean := (rules ->> 'ordered')::boolean;
begin
  with old as materialized (
    select c.grp, g.whole, c.served, s.version as old_version, s.turn as old_turn, s.wake_at as old_wake,
           s.running as old_running, s.spent_until as old_spent, s.head as old_head,
           greatest(0, coalesce(s.running, 0) + c.ran) as running,
           case when c.began > 0 and holdfast.selective_every(rules, g.whole) is not null
             then greatest(least(coalesce(s.spent_until, '-infinity'), at + holdfast.selective_fill(rules, g.whole)), at)
               + c.began * holdfast.selective_every(rules, g.whole)
             else coalesce(s.spent_until, '-infinity') end as spent_until,
           case when raising then coalesce(c.head, s.head) else least(s.head, c.head) end as head
      from unnest(groups, ran, began, heads, served) as c (grp, ran, began, head, served)
      join holdfast.selective_group g on g.id = c.grp
      left join lateral (
        select * from holdfast.selective_state s where s.grp = c.grp order by s.version desc limit 1
      ) s on true
  ), looked as materialized (
    select old.*, first.there, first.due_at,
           coalesce(old.running >= holdfast.selective_max(rules, old.whole), false) as busy,
           -- When the next token is there.
           least(old.spent_until, at + holdfast.selective_fill(rules, old.whole))
             - holdfast.selective_fill(rules, old.whole) + holdfast.selective_every(rules, old.whole) as token_at
      from old left join lateral (
        select true as there, case when in_order then i.due_at end as due_at
          from holdfast.selective_item i
         where i.queue = of_queue and i.grp = old.grp and i.member is null and i.ready
           and i.place >= coalesce(old.head, -9223372036854775808)
         order by i.place, i.id limit 1
      ) first on not old.whole
  ), decided as materialized (
    select *, coalesce(there and not busy, false) as willing,
           case when there and not busy then nullif(greatest(due_at, token_at, at), at) end as wake_at
      from looked
  ), next as materialized (
    select d.*, case when willing and wake_at is null
             then coalesce(case when served is null then old_turn end, nextval('holdfast.selective_turn')) end as turn
      from (select * from decided order by served) d
  ), changed as materialized (
    select * from next
     where (old_version, old_running, old_spent, old_head, old_turn, old_wake)
       is distinct from (old_version, running, spent_until, head, turn, wake_at) or old_version is null
  ), gone as (
    delete from holdfast.selective_state s using changed c where s.grp = c.grp and s.version = c.old_version
  )
  insert into holdfast.selective_state (queue, grp, version, running, spent_until, head, turn, wake_at)
  select of_queue, grp, coalesce(old_version, 0) + 1, running, spent_until, head, turn, wake_at from changed;
end $$;

-- Locks groups in the order in which everybody does. Answers those that are locked, all but the busy ones if told to.
create function holdfast.selective_lock(groups bigint[], all_of_them boolean) returns bigint[]
language plpgsql ${byIndex} as $$
#variable_conflict use_column
begin
  if all_of_them then
    return array(select g.id from holdfast.selective_group g where g.id = any (groups) order by g.id for no key update);
  end if;
  return array(
    select g.id from holdfast.selective_group g where g.id = any (groups) order by g.id for no key update skip locked);
end $$;

-- The length changes by so many. Last in its transaction: whoever holds a slot waits for nobody.
create function holdfast.selective_lengthen(of_queue int, by_jobs bigint) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  my_slot constant int := pg_backend_pid() % 16;
  newest record;
begin
  if by_jobs = 0 then return; end if;
  perform pg_advisory_xact_lock(${queueLock(0)} + of_queue, ${lengthSlot} + my_slot);
  select l.version, l.jobs into newest from holdfast.selective_length l
   where l.queue = of_queue and l.slot = my_slot order by l.version desc limit 1;
  insert into holdfast.selective_length (queue, slot, version, jobs)
  values (of_queue, my_slot, coalesce(newest.version, 0) + 1, coalesce(newest.jobs, 0) + by_jobs);
  delete from holdfast.selective_length l
   where l.queue = of_queue and l.slot = my_slot and l.version = newest.version;
end $$;

-- Waiting and delayed jobs, as of what is committed and what this transaction did.
create function holdfast.selective_long(of_queue int) returns bigint
language sql stable ${byIndex} as $$
  select coalesce(sum(newest.jobs), 0)::bigint from generate_series(0, 15) n, lateral (
    select l.jobs from holdfast.selective_length l
     where l.queue = of_queue and l.slot = n order by l.version desc limit 1) newest
$$;
`;

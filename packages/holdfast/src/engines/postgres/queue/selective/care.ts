/**
 * What has to be done for a selective queue now and then, by whichever process comes to it: jobs that are kept no
 * longer, keys and groups that nobody needs, and where the lists begin.
 *
 * Each step is small, safe to run in many processes at once, and does without when somebody is in its way.
 */
import type { ResolvedQueueOptions } from "../../../../parts/queue/index.ts";
import { writeAtOnce } from "../../log-transaction.ts";
import type { PgSession, Statement } from "../../session.ts";
import { forgetUnique } from "../unique.ts";
import { byIndex, gateLock } from "./settle-sql.ts";

/** Rows of a kind that one round removes at most; a round that was full is followed by another. */
const roundRows = 1_000;
const roundsMax = 50;

export const careSql = `
-- Ended jobs that are kept no longer. Answers how many.
create function holdfast.selective_forget_jobs(of_queue int, keep_done_ms float8, keep_dead_ms float8, most int) returns int
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  ids uuid[];
begin
  ids := array(
    select e.id from unnest(array['done', 'cancelled', 'dead'], array[keep_done_ms, keep_done_ms, keep_dead_ms]) k (state, ms),
      lateral (
        select e.id from holdfast.selective_ended e
         where e.queue = of_queue and e.state = k.state and e.ended_at < clock_timestamp() - k.ms * interval '1 millisecond'
         order by e.ended_at limit most for update skip locked) e);
  delete from holdfast.selective_ended e where e.queue = of_queue and e.id = any (ids);
  delete from holdfast.selective_job j where j.queue = of_queue and j.id = any (ids);
  return cardinality(ids);
end $$;

-- Groups without jobs that wait for nothing and have their whole bucket: what is known of them is what is known of new
-- ones. Looks at so many groups from the given one on; answers where to go on, null at the end.
create function holdfast.selective_forget_groups(of_queue int, from_name text, most int) returns text
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  seen bigint[];
  last_name text;
  idle bigint[];
begin
  select array_agg(g.id), max(g.name) into seen, last_name from (
    select g.id, g.name from holdfast.selective_group g
     where g.queue = of_queue and not g.whole and g.name > from_name collate "C" order by g.name limit most) g;
  if seen is null then return null; end if;
  idle := holdfast.selective_lock(seen, false);
  idle := array(
    select g from unnest(idle) g left join lateral (
      select * from holdfast.selective_state s where s.grp = g order by s.version desc limit 1) s on true
     where coalesce(s.running, 0) = 0 and s.turn is null and s.wake_at is null
       and coalesce(s.spent_until <= clock_timestamp(), true)
       and not exists (select from holdfast.selective_item i where i.queue = of_queue and i.grp = g));
  delete from holdfast.selective_state s where s.grp = any (idle);
  delete from holdfast.selective_group g where g.id = any (idle);
  return case when cardinality(seen) = most then last_name end;
end $$;

-- Groups that wait for a time are looked at again, those first that wait longest: after a clock was set back they would
-- wait for what is no longer the time.
create function holdfast.selective_look_again(of_queue int, rules jsonb, most int) returns void
language plpgsql ${byIndex} as $$
#variable_conflict use_column
declare
  groups bigint[];
begin
  groups := array(
    select s.grp from holdfast.selective_state s
     where s.queue = of_queue and s.wake_at > clock_timestamp() order by s.wake_at desc limit most);
  if cardinality(groups) = 0 then return; end if;
  perform pg_advisory_xact_lock_shared(${gateLock});
  groups := holdfast.selective_lock(groups, false);
  if cardinality(groups) = 0 then return; end if;
  perform holdfast.selective_settle(of_queue, groups, array_fill(0, array[cardinality(groups)]),
    array_fill(0, array[cardinality(groups)]), array_fill(null::bigint, array[cardinality(groups)]),
    array_fill(null::int, array[cardinality(groups)]), false, rules);
end $$;

-- Groups whose count of running attempts is not what their jobs say, which should be none: both change together.
create function holdfast.selective_drift(of_queue int)
returns table (group_name text, running int, counted int)
language sql stable as $$
  select g.name, coalesce(s.running, 0), n.counted
    from holdfast.selective_group g
    left join lateral (
      select s.running from holdfast.selective_state s where s.grp = g.id order by s.version desc limit 1) s on true,
    lateral (
      select count(*)::int as counted from holdfast.selective_item i
       where i.queue = of_queue and i.counted and (g.whole or i.grp = g.id)) n
   where g.queue = of_queue and coalesce(s.running, 0) <> n.counted
$$;
`;

export interface CareFor {
  readonly queueId: number;
  readonly options: ResolvedQueueOptions;
  readonly rules: string;
}

/** Not flushed: what a crash undoes of it is done again. */
const unflushed = "set local synchronous_commit = off; set local lock_timeout = '1s'";

export async function careForQueue(session: PgSession, { queueId, options, rules }: CareFor): Promise<void> {
  const { keepDoneMs, keepDeadMs } = options;
  const one = async <Row>(statement: Statement): Promise<Row | undefined> => {
    const [{ rows }] = await writeAtOnce<[Row]>(session, [statement], unflushed);
    return rows[0];
  };
  await repeated(async () => {
    const row = await one<{ forgot: number }>({
      text: "select holdfast.selective_forget_jobs($1, $2, $3, $4) as forgot",
      values: [queueId, keepDoneMs, keepDeadMs, roundRows],
    });
    return (row?.forgot ?? 0) >= roundRows;
  });
  await repeated(async () => {
    const [{ rowCount }] = await writeAtOnce(session, [forgetUnique(queueId, roundRows)], unflushed);
    return (rowCount ?? 0) >= roundRows;
  });
  await one({
    text: "select holdfast.selective_look_again($1, $2::jsonb, $3)",
    values: [queueId, rules, roundRows],
  });
  if (!options.group) return;
  let from: string | null = "";
  await repeated(async () => {
    const row: { next: string | null } | undefined = await one({
      text: "select holdfast.selective_forget_groups($1, $2, $3) as next",
      values: [queueId, from, roundRows],
    });
    from = row?.next ?? null;
    return from !== null;
  });
}

async function repeated(round: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < roundsMax && (await round()); n++);
}

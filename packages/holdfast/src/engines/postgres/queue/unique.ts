/**
 * Unique keys of jobs: while a job waits, is delayed or runs, and for `forMs` from when it was enqueued, no other job
 * of the queue has its key.
 *
 * - Taking is a part of the transaction that enqueues, and giving back of the one that ends the job: a key is never
 *   taken by a job that is not there, nor by one that has ended.
 * - Two that come at once wait for each other at the key's row: one is new, the other is answered the first one's id.
 *   Keys are taken in their own order, so that two batches with the same keys do not deadlock.
 * - A batch is unique in itself in the same way. The same job sent again finds itself, and is new still.
 * - A dead letter that is redriven runs without its key: somebody else may have it by then.
 */
import type { InstallStep } from "../install-step.ts";
import type { Statement } from "../session.ts";

export const queueUniqueInstall: InstallStep = {
  name: "queue-unique",
  version: 1,
  sql: `
create table holdfast.queue_unique (
  queue int not null,
  key text collate "C" not null,
  job uuid not null,
  -- The key is taken while its job lives, and in any case until then.
  until timestamptz not null,
  lives boolean not null default true,
  primary key (queue, key)
) with (fillfactor = 70);
create index queue_unique_job on holdfast.queue_unique (queue, job);
create index queue_unique_over on holdfast.queue_unique (queue, until) where not lives;

-- Takes keys for jobs. Answers who has each: the job itself, when it is new.
create function holdfast.queue_take_unique(of_queue int, jobs uuid[], keys text[], for_ms float8[])
returns table (job uuid, holder uuid)
language plpgsql as $$
#variable_conflict use_column
declare
  wanted record;
begin
  for wanted in
    select w.job, w.key, w.for_ms, w.n
      from unnest(jobs, keys, for_ms) with ordinality as w (job, key, for_ms, n)
     order by w.key collate "C", w.n
  loop
    insert into holdfast.queue_unique as u (queue, key, job, until)
    values (of_queue, wanted.key, wanted.job, clock_timestamp() + wanted.for_ms * interval '1 millisecond')
    on conflict (queue, key) do update set job = excluded.job, until = excluded.until, lives = true
      where not u.lives and u.until <= clock_timestamp();
    -- The row is locked now, whoever has it: this statement sees the one who does.
    return query select wanted.job, u.job from holdfast.queue_unique u
      where u.queue = of_queue and u.key = wanted.key;
  end loop;
end $$;

-- Gives back the keys of jobs that have ended. A key that is taken for longer stays until then.
create function holdfast.queue_release_unique(of_queue int, jobs uuid[]) returns void
language sql as $$
  with mine as materialized (
    select u.key, u.until from holdfast.queue_unique u
     where u.queue = of_queue and u.job = any (jobs) order by u.key for update
  ), kept as (
    update holdfast.queue_unique u set lives = false from mine
     where u.queue = of_queue and u.key = mine.key and mine.until > clock_timestamp()
  )
  delete from holdfast.queue_unique u using mine
   where u.queue = of_queue and u.key = mine.key and mine.until <= clock_timestamp()
$$;
`,
};

export interface WantedKey {
  readonly job: string;
  readonly key: string;
  readonly forMs: number;
}

/** Answers `{ job, holder }` for each, in any order: equal where the job is new. Belongs in the enqueue's transaction. */
export function takeUnique(queueId: number, wanted: readonly WantedKey[]): Statement {
  return {
    text: "select job, holder from holdfast.queue_take_unique($1, $2::uuid[], $3::text[], $4::float8[])",
    prepare: true,
    values: [
      queueId,
      wanted.map(({ job }) => job),
      wanted.map(({ key }) => key),
      wanted.map(({ forMs }) => forMs),
    ],
  };
}

/** Belongs in the transaction that ends the jobs. */
export function releaseUnique(queueId: number, jobs: readonly string[]): Statement {
  return {
    text: "select holdfast.queue_release_unique($1, $2::uuid[])",
    prepare: true,
    values: [queueId, jobs],
  };
}

/** Forgets keys whose time is over, some at a time. Answers one row for each. */
export function forgetUnique(queueId: number, limit: number): Statement {
  return {
    text: `delete from holdfast.queue_unique where queue = $1 and not lives and key = any (array(
             select key from holdfast.queue_unique
              where queue = $1 and not lives and until <= clock_timestamp() order by until limit $2
                for update skip locked))`,
    values: [queueId, limit],
  };
}

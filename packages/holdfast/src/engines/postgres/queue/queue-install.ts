/**
 * The tables that all queues of a database share. Each queue also has a ring of its own (`queue-tables.ts`).
 *
 * What is here is keyed, and holds what is not the rule: jobs that are delayed, dead or cancelled, members, and
 * requests to cancel. The rule (a job comes, is claimed, is done) touches none of it, except its member's row, which
 * it locks and does not change: so whoever holds back dead rows for hours slows no queue.
 */
import type { InstallStep } from "../install-step.ts";

/** Of a job, wherever it is; what search looks at has its own columns. */
const jobColumns = `
  -- How often it has been ready before: with the id, a name for one stay in the queue.
  turn int not null,
  attempt int not null,
  enqueued_at timestamptz not null,
  bytes int not null,
  value text not null,
  name text,
  tags text[],
  unique_key text,
  traceparent text,
  session text,
  -- Of the last attempt that failed: code, message, outcome.
  failure json`;

export const queueInstall: InstallStep = {
  name: "queue",
  version: 1,
  sql: `
create table holdfast.queue (
  id int generated always as identity primary key,
  name text not null unique,
  -- Kept in rows that are chosen one by one (groups, priorities, limits), instead of a ring.
  selective boolean not null,
  paused boolean not null default false,
  -- The segment that jobs, claims and ends are appended to now, and since when.
  segment smallint not null default 0,
  segment_since timestamptz not null default clock_timestamp(),
  -- Numbers that were drawn from the ring's sequence and are no job, as far as is known: see queue-length.ts.
  gap bigint not null default 0
);
create table holdfast.queue_sealed (
  queue int not null references holdfast.queue,
  segment smallint not null,
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (queue, segment)
);
create table holdfast.queue_member (
  queue int not null references holdfast.queue,
  token bigint not null,
  worker text not null,
  name text not null,
  expires_at timestamptz not null,
  -- The member has nothing left of claims with lower numbers.
  done_before bigint not null default 0,
  primary key (queue, token)
) with (fillfactor = 50);

-- Raises HF002 unless the member holds its lease; \`locked\`: and keeps others from taking it until the end of the
-- transaction.
create function holdfast.queue_fence(of_queue int, of_token bigint, of_name text, locked boolean) returns void
language plpgsql as $$
begin
  if locked then
    perform from holdfast.queue_member
      where queue = of_queue and token = of_token and name = of_name and expires_at > clock_timestamp()
      for no key update;
  else
    perform from holdfast.queue_member
      where queue = of_queue and token = of_token and name = of_name and expires_at > clock_timestamp();
  end if;
  if not found then
    raise exception 'member % of queue % has lost its lease', of_name, of_queue using errcode = 'HF002';
  end if;
end
$$;

-- Jobs that wait for their time: delayed, or between two attempts.
create table holdfast.queue_timer (
  queue int not null references holdfast.queue,
  id uuid not null,
  due_at timestamptz not null,${jobColumns},
  primary key (queue, id)
);
create index queue_timer_due on holdfast.queue_timer (queue, due_at);
create index queue_timer_name on holdfast.queue_timer (queue, name, id) where name is not null;
create index queue_timer_tags on holdfast.queue_timer using gin (tags) where tags is not null;

-- Jobs that ended otherwise than done: dead letters, and what was cancelled.
create table holdfast.queue_kept (
  queue int not null references holdfast.queue,
  id uuid not null,
  state text not null check (state in ('dead', 'cancelled')),
  ended_at timestamptz not null default clock_timestamp(),${jobColumns},
  primary key (queue, id)
);
create index queue_kept_ended on holdfast.queue_kept (queue, state, ended_at);
create index queue_kept_name on holdfast.queue_kept (queue, name, id) where name is not null;
create index queue_kept_tags on holdfast.queue_kept using gin (tags) where tags is not null;

-- Jobs that run and are to be cancelled; told to the member with its heartbeat.
create table holdfast.queue_cancel (
  queue int not null references holdfast.queue,
  id uuid not null,
  token bigint not null,
  at timestamptz not null default clock_timestamp(),
  primary key (queue, id)
);
create table holdfast.queue_progress (
  queue int not null references holdfast.queue,
  id uuid not null,
  value text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (queue, id)
) with (fillfactor = 50);

-- Evidence that a batch of jobs was committed, or a tombstone that keeps it from being so; in four slots of ten
-- minutes by the server's clock, of which the one that comes next is emptied.
create table holdfast.queue_evidence (
  slot smallint not null default ((extract(epoch from now())::bigint / 600) % 4),
  id uuid not null,
  tombstone boolean not null default false,
  primary key (slot, id)
) partition by list (slot);
create table holdfast.queue_evidence_0 partition of holdfast.queue_evidence for values in (0);
create table holdfast.queue_evidence_1 partition of holdfast.queue_evidence for values in (1);
create table holdfast.queue_evidence_2 partition of holdfast.queue_evidence for values in (2);
create table holdfast.queue_evidence_3 partition of holdfast.queue_evidence for values in (3);
`,
};

/**
 * The tables that all topics of a database share. Each topic also has a log of its own (`log-tables.ts`).
 *
 * Nothing here is updated for every message or batch: rows are appended, and the newest is found from the end
 * of an index. That is why a writer elsewhere on the server that holds dead rows back for hours slows no read.
 */
import type { InstallStep } from "./install-step.ts";

export const topicInstall: InstallStep = {
  name: "topic",
  version: 1,
  sql: `
create table holdfast.topic (
  id int generated always as identity primary key,
  name text not null unique,
  partitions int not null,
  -- The segment that publishers append to now, and since when.
  segment smallint not null default 0,
  segment_since timestamptz not null default clock_timestamp()
);
-- When a segment stopped taking messages. A segment without a row is empty, or is the current one.
create table holdfast.topic_sealed (
  topic int not null references holdfast.topic,
  segment smallint not null,
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (topic, segment)
);
-- Evidence that a batch of messages was committed, or a tombstone that keeps it from being so.
create table holdfast.topic_batch (
  id uuid primary key,
  at timestamptz not null default clock_timestamp()
);
create index topic_batch_at on holdfast.topic_batch (at);
-- Snapshots taken now and then by publishers: a reader that is behind goes from one to the next.
create table holdfast.topic_tick (
  topic int not null references holdfast.topic,
  snapshot pg_snapshot not null,
  at timestamptz not null default clock_timestamp()
);
create index topic_tick_xmax on holdfast.topic_tick (topic, pg_snapshot_xmax(snapshot));
create table holdfast.topic_consumer (
  id int generated always as identity primary key,
  topic int not null references holdfast.topic,
  name text not null,
  unique (topic, name)
);
create table holdfast.topic_member (
  consumer int not null references holdfast.topic_consumer,
  name text not null,
  expires_at timestamptz not null,
  primary key (consumer, name)
);
-- Who may read a partition. The epoch grows whenever the owner changes.
create table holdfast.topic_claim (
  consumer int not null references holdfast.topic_consumer,
  partition int not null,
  owner text,
  epoch bigint not null default 0,
  primary key (consumer, partition)
) with (fillfactor = 50);
-- The batches of a partition as they were recorded, numbered without gaps; only the newest few are kept.
-- A batch is what lies in the window (from_snapshot, to_snapshot] with ids in (after_id, until_id].
create table holdfast.topic_progress (
  consumer int not null references holdfast.topic_consumer,
  partition int not null,
  sequence bigint not null,
  epoch bigint not null,
  from_snapshot pg_snapshot not null,
  to_snapshot pg_snapshot not null,
  after_id bigint not null,
  until_id bigint not null,
  -- Whether the window holds messages behind this batch.
  more boolean not null,
  done boolean not null default false,
  at timestamptz not null default clock_timestamp(),
  primary key (consumer, partition, sequence)
) with (fillfactor = 80);
`,
};

/**
 * Tells a tombstone from evidence. Without it, who asks a second time, because the first answer got lost, would
 * find the tombstone and take it for the batch.
 */
export const tombstoneInstall: InstallStep = {
  name: "topic",
  version: 2,
  sql: "alter table holdfast.topic_batch add column tombstone boolean not null default false;",
};

/**
 * What a consumer wants and where it began, how often a batch was tried, and what was put aside.
 *
 * A batch that keeps failing is recorded again in smaller pieces, each under a number of its own; a message that
 * fails alone becomes a dead letter, and the partition goes on. `letters` makes a batch of dead letters that are to
 * be tried once more: its window is that of the batch before it, so that reading goes on from there.
 */
export const consumerInstall: InstallStep = {
  name: "topic",
  version: 3,
  sql: `
alter table holdfast.topic_consumer
  -- Its members are one process, and it goes with them: nothing is kept for it.
  add column ephemeral boolean not null default false,
  add column made_at timestamptz not null default clock_timestamp(),
  -- The subjects that it subscribes to, as a regular expression; all of them when null.
  add column filter text;
alter table holdfast.topic_progress
  add column filter text,
  -- Drawn anew by each replay: effects from before it do not count as effects of the batches behind it.
  add column replay text not null default '',
  -- How often it was begun to be handled, and how often somebody told the end of that.
  add column attempts int not null default 1,
  add column reported int not null default 0,
  -- The last id of the batch that failed as a whole: up to there batches get one attempt before they are halved.
  add column isolate_until bigint,
  add column letters uuid[],
  add column failure json;
create table holdfast.topic_dead_letter (
  id uuid primary key default gen_random_uuid(),
  consumer int not null references holdfast.topic_consumer,
  partition int not null,
  message_id bigint not null,
  published_at timestamptz not null,
  key text not null,
  subject text,
  version int,
  value json not null,
  traceparent text,
  session text,
  code text not null,
  message text not null,
  outcome text not null,
  attempts int not null,
  dead_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  -- When somebody asked that it be tried once more.
  redrive_at timestamptz
);
create index topic_dead_letter_at on holdfast.topic_dead_letter (consumer, dead_at, id);
create index topic_dead_letter_expiry on holdfast.topic_dead_letter (expires_at);
create index topic_dead_letter_redrive on holdfast.topic_dead_letter (consumer, partition, redrive_at)
  where redrive_at is not null;
`,
};

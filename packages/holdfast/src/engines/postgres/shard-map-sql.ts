/**
 * The shard map as a table, on the database's home node, and what moving shards writes down.
 *
 * Maps are never changed: each change adds one with the next epoch, and the newest counts. That two changes want
 * the same epoch is refused by the primary key.
 */
import type { InstallStep } from "./install-step.ts";

export const shardMapInstall: InstallStep = {
  name: "shard-map",
  version: 1,
  sql: `
create table holdfast.shard_map (
  epoch bigint primary key,
  -- For each shard its node, its schema there, and what sessions have to know of where it was.
  places jsonb not null,
  -- The move that made it; null for the first.
  move int,
  at timestamptz not null default clock_timestamp()
);
create table holdfast.shard_move (
  id int generated always as identity primary key,
  shard int not null,
  source text not null,
  target text not null,
  -- The shard's schema before the move, and behind it.
  schema text not null,
  schema_after text not null,
  -- Names publication, slot and subscription; those of the way back have '_back' behind it.
  stream text not null,
  -- The row of shard_mark that goes along with the stream.
  mark int not null,
  state text not null default 'moving'
    check (state in ('moving', 'kept', 'finished', 'aborted', 'taken-back')),
  intent text not null default 'forward' check (intent in ('forward', 'abort', 'finish')),
  -- Whether the old copy is kept up to date afterwards, so that the move can be taken back.
  keep boolean not null,
  -- What was begun or done last, for people; what comes next follows from what is there.
  step text not null default 'planned',
  data jsonb not null default '{}',
  started_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp()
);
create unique index shard_move_moving on holdfast.shard_move (shard) where state = 'moving';
-- On every node: raised on the one side of a stream, and seen on the other when all before it has arrived.
create table holdfast.shard_mark (
  move int primary key,
  mark int not null default 0
);
`,
};

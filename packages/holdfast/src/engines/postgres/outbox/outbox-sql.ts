/**
 * The tables of the outbox. All of them are on every node of every database: a node is a source of what is published
 * in its transactions, and may be the home of topics and queues.
 *
 * Nothing is updated for a message: rows are appended, and the newest is found from the end of an index. That is why
 * a transaction elsewhere on the server that holds dead rows back for hours slows neither publishers nor relays.
 */
import type { InstallStep } from "../install-step.ts";

/** Segments of the ring: the current one, and those that wait to be relayed and for the end of retention. */
export const segmentCount = 4;

const segments = Array.from({ length: segmentCount }, (_, segment) => segment);

export const outboxInstall: InstallStep = {
  name: "outbox",
  version: 1,
  sql: `
-- As a source. position: the order in which messages of a key were committed. xid: the transaction, by which relays
-- find what is new. place: the schema of the shard at that moment, which is another after each move.
create table holdfast.outbox (
  position bigint generated always as identity,
  segment smallint not null,
  xid xid8 not null default pg_current_xact_id(),
  id uuid not null,
  destination text not null,
  shard int not null,
  place text not null,
  key text not null,
  value json not null,
  options json,
  traceparent text,
  session text,
  bytes int not null,
  at timestamptz not null default clock_timestamp()
) partition by list (segment);
create index on holdfast.outbox (destination, xid);
${segments.map((n) => `create table holdfast.outbox_${n} partition of holdfast.outbox for values in (${n});`).join("\n")}
-- Segments that have rows, or take them now: the one that was not sealed.
create table holdfast.outbox_segment (
  segment smallint primary key,
  since timestamptz not null default clock_timestamp(),
  sealed_at timestamptz
);
insert into holdfast.outbox_segment (segment) values (0);
-- Snapshots that were written down. A cursor ends at one of them, and counts for as long as its tick is there: when a
-- crash or a failover took the tick, it took the transaction ids that the cursor takes for passed, too.
create table holdfast.outbox_tick (
  id uuid primary key,
  snapshot pg_snapshot not null,
  at timestamptz not null default clock_timestamp()
);
create index on holdfast.outbox_tick (pg_snapshot_xmax(snapshot));
-- Which process relays what is for a destination. It saves work; nothing rests on it.
create table holdfast.outbox_lease (
  destination text primary key,
  owner text not null,
  -- Whether the owner leaves it to anybody who is willing.
  reluctant boolean not null default false,
  expires_at timestamptz not null
) with (fillfactor = 50);
-- As a home. How far the relay of a source is: the newest row counts, and is appended in the transaction that appends
-- the messages. It has passed what from_snapshot shows, and of what to_snapshot shows beside that all up to
-- after_position; with more, the window goes on. The ids say what has come, should the source have to be read anew:
-- from behind row recheck_seq on, up to recheck_position.
create table holdfast.outbox_cursor (
  source text not null,
  destination text not null,
  seq bigint not null,
  id uuid not null,
  tick uuid not null,
  from_snapshot pg_snapshot not null,
  to_snapshot pg_snapshot not null,
  after_position bigint not null,
  more boolean not null,
  recheck_seq bigint,
  recheck_position bigint,
  ids uuid[] not null,
  newest_at timestamptz not null,
  at timestamptz not null default clock_timestamp(),
  primary key (source, destination, seq)
);
-- What came from the new place of a shard, and waits for what was written at its old one.
create table holdfast.outbox_held (
  n bigint generated always as identity,
  destination text not null,
  source text not null,
  place text not null,
  id uuid not null,
  key text not null,
  value json not null,
  options json,
  traceparent text,
  session text,
  primary key (destination, source, place, n)
);
`,
};

/**
 * First key of the outbox's advisory locks ("Hn" above, as "Ho" is the topics'); the second is the slot of a key, or
 * one of the numbers beyond the slots.
 */
export const outboxLock = 0x486e0000;
/** Slots that keys are locked by. More slots: fewer keys wait for each other, more locks per transaction. */
export const lockSlots = 256;
/** Held by whoever turns the ring. */
export const rotationSlot = 1_000;

/** What a destination is called in the tables. */
export function destinationName({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind}:${name}`;
}

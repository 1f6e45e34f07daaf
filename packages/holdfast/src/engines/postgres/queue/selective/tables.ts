/**
 * What selective queues store: jobs by their ids, and groups by what they are ready for.
 *
 * - `selective_job`: what a job is. Written once, deleted with what is left of it.
 * - `selective_item`: where a living job is. Narrow: written when it comes, when it is claimed, when it comes again,
 *   and deleted when it ends.
 * - `selective_ended`: what became of it, for as long as it is kept; dead letters are the ones with state `dead`.
 * - `selective_group`: a row for each group, only ever locked. Whoever changes anything of a group holds its lock.
 * - `selective_state`: what a group is ready for. A change is a new version of it and the end of the old one.
 *
 * Nothing that is looked up by many is updated in place. Somewhere on the server a transaction may be open for an hour,
 * and everything dead since then stays where it is; so the newest version of a state is found from the end of its
 * index, and every list that is read from its head is read from where it was known to begin (`head` of a group's jobs,
 * and what `floors.ts` knows of the lists of groups and of times).
 */
import type { InstallStep } from "../../install-step.ts";
import { careSql } from "./care.ts";
import { selectiveClaimSql } from "./claim-sql.ts";
import { selectiveEndSql } from "./end-sql.ts";
import { selectiveEnqueueSql } from "./enqueue-sql.ts";
import { floorsSql } from "./floors.ts";
import { selectiveSettleSql } from "./settle-sql.ts";

const tablesSql = `
create table holdfast.selective_group (
  id bigint generated always as identity primary key,
  queue int not null,
  -- The queue as a whole, which has bounds of its own.
  whole boolean not null default false,
  name text collate "C" not null,
  unique (queue, whole, name)
);
create table holdfast.selective_state (
  queue int not null,
  grp bigint not null,
  version bigint not null,
  -- Attempts that are under way, of those that count.
  running int not null,
  -- The bucket of the rate, as the moment at which it is full again.
  spent_until timestamptz not null,
  -- No ready job of the group has a lower place.
  head bigint,
  -- Place in the line of groups that can be served; null when this one cannot.
  turn bigint,
  -- When it can, if only time is missing.
  wake_at timestamptz,
  primary key (grp, version)
);
create index selective_state_turn on holdfast.selective_state (queue, turn) where turn is not null;
create index selective_state_wake on holdfast.selective_state (queue, wake_at) where wake_at is not null;
create sequence holdfast.selective_turn;
-- Places of jobs in ordered groups, drawn under the group's lock.
create sequence holdfast.selective_place;

create table holdfast.selective_job (
  queue int not null,
  id uuid not null,
  grp bigint not null,
  group_name text,
  name text,
  priority smallint not null,
  tags text[],
  traceparent text,
  session text,
  enqueued_at timestamptz not null default clock_timestamp(),
  value json not null,
  primary key (queue, id)
);
create index selective_job_group on holdfast.selective_job (queue, group_name, id) where group_name is not null;
create index selective_job_name on holdfast.selective_job (queue, name, id) where name is not null;
create index selective_job_tags on holdfast.selective_job using gin (tags) where tags is not null;

create table holdfast.selective_item (
  queue int not null,
  id uuid not null,
  grp bigint not null,
  -- Order within the group: lower first.
  place bigint not null,
  attempt int not null default 0,
  -- In the group's line. A delayed job joins it when it is due; in ordered groups it stands there and holds it up.
  ready boolean not null,
  due_at timestamptz,
  -- When it became ready last.
  since timestamptz not null,
  -- Who has it, by which claim; null while it waits.
  member bigint,
  claim uuid,
  -- Whether its attempt counts as running in its group.
  counted boolean not null default false,
  cancel boolean not null default false,
  bytes int not null,
  progress json,
  failure_code text,
  failure_message text,
  failure_outcome text,
  primary key (queue, id)
);
create index selective_item_line on holdfast.selective_item (queue, grp, place, id) where member is null and ready;
create index selective_item_due on holdfast.selective_item (queue, due_at) where member is null and not ready;
create index selective_item_member on holdfast.selective_item (queue, member) where member is not null;

create table holdfast.selective_ended (
  queue int not null,
  id uuid not null,
  state text not null,
  ended_at timestamptz not null default clock_timestamp(),
  attempt int not null,
  result json,
  progress json,
  failure_code text,
  failure_message text,
  failure_outcome text,
  primary key (queue, id)
);
create index selective_ended_at on holdfast.selective_ended (queue, state, ended_at);
create index selective_ended_dead on holdfast.selective_ended (queue, id) where state = 'dead';

-- How many jobs wait or are delayed: the sum over the slots, each the newest of its versions.
create table holdfast.selective_length (
  queue int not null,
  slot int not null,
  version bigint not null,
  jobs bigint not null,
  primary key (queue, slot, version)
);
`;

export const selectiveInstall: InstallStep = {
  name: "queue-selective",
  version: 1,
  sql:
    tablesSql +
    selectiveSettleSql +
    selectiveEnqueueSql +
    selectiveClaimSql +
    selectiveEndSql +
    floorsSql +
    careSql,
};

/**
 * What change feeds keep in tables.
 *
 * On each node: which feeds there are, and which tables came to be with rows in them. A migration that makes a feed's
 * table puts it into the feed's publication in its own transaction, so that nothing is written to it unseen.
 *
 * On the topic's home: how far each node's log has been appended to the topic's, in the same transactions as the
 * messages; and the shards whose rows are to be told.
 */
import type { InstallStep } from "../install-step.ts";

export const changesInstall: InstallStep = {
  name: "changes",
  version: 1,
  sql: `
create table holdfast.change_feed (
  feed text primary key,
  publication text not null,
  table_name text not null
);
-- Tables that had rows when they joined: those rows are in no message yet.
create table holdfast.change_joined (
  feed text not null,
  schema_name text not null,
  primary key (feed, schema_name)
);
create table holdfast.change_cursor (
  feed text not null,
  node text not null,
  -- Grows with each relay that takes the cursor over: an older one can append nothing any more.
  epoch bigint not null default 0,
  -- Where it is, and in which history. Null until it has begun.
  system text,
  timeline int,
  lsn pg_lsn,
  -- A transaction of which only the first so many changes are appended, by its commit record.
  part_lsn pg_lsn,
  part_count bigint not null default 0,
  at timestamptz not null default clock_timestamp(),
  primary key (feed, node)
) with (fillfactor = 50);
create table holdfast.change_want (
  feed text not null,
  shard int not null,
  reason text,
  -- Nothing of the shard has been told yet: what is committed before its rows are told is in them.
  initial boolean not null default false,
  at timestamptz not null default clock_timestamp(),
  primary key (feed, shard)
);
create function holdfast.change_feeds_join(in_schema text) returns void language plpgsql as $join$
declare
  one record;
  filled boolean;
begin
  for one in
    select f.feed, f.publication, c.oid
      from holdfast.change_feed f
      join pg_catalog.pg_namespace n on n.nspname = in_schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = f.table_name and c.relkind in ('r', 'p')
     where c.relpersistence = 'p'
       and exists (select from pg_catalog.pg_publication p where p.pubname = f.publication)
       and not exists (select from pg_catalog.pg_publication_rel r join pg_catalog.pg_publication p on p.oid = r.prpubid
                        where p.pubname = f.publication and r.prrelid = c.oid)
       -- Without an identity its updates would be refused from then on.
       and (c.relreplident = 'f'
         or (c.relreplident = 'd' and exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary))
         or (c.relreplident = 'i' and exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisreplident)))
  loop
    execute pg_catalog.format('select exists (select from %s)', one.oid::pg_catalog.regclass) into filled;
    execute pg_catalog.format('alter publication %I add table %s', one.publication, one.oid::pg_catalog.regclass);
    if filled then
      insert into holdfast.change_joined (feed, schema_name) values (one.feed, in_schema) on conflict do nothing;
    end if;
  end loop;
end
$join$;
`,
};

export const joinFeedsSql = "select holdfast.change_feeds_join($1)";

/**
 * What migrations call to make the tables of documents, key-values and slotted counters, in the schema that they run
 * in. Each is an ordinary table: a migration may add columns and indexes of its own to it.
 */
import type { InstallStep } from "./install-step.ts";

export const rowsInstall: InstallStep = {
  name: "rows",
  version: 1,
  sql: `
-- The version of a row that was just made: microseconds of the server's clock, so that a row which is deleted and
-- made again never has a version that somebody may still hold. Each change adds one.
create function holdfast.first_version() returns bigint
language sql volatile as $$ select (extract(epoch from clock_timestamp()) * 1000000)::bigint $$;

-- Runs a CREATE TABLE, unless the name is taken or is none. Keys sort by their bytes, as everywhere in Holdfast.
create function holdfast.create_keyed(what text, name text, routed boolean, columns text) returns void
language plpgsql as $$
begin
  if name is null or name = '' or octet_length(name) > 57 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('%s: name should have 1 to 57 bytes, got %L', what, name);
  end if;
  execute format('create table %I (key text collate "C" not null%s, %s)', name,
    case when routed then ' check (holds_key(key))' else '' end, columns);
end $$;

-- routed => false for documents whose shard is decided by something other than their key.
create function holdfast.create_documents(name text, routed boolean default true) returns void
language plpgsql as $$
begin
  perform holdfast.create_keyed('create_documents', name, routed, 'doc jsonb not null, '
    || 'version bigint not null default holdfast.first_version(), primary key (key)');
  execute format('create index %I on %I using gin (doc jsonb_path_ops)', name || '_doc', name);
end $$;

create function holdfast.create_key_values(name text, routed boolean default true) returns void
language plpgsql as $$
begin
  perform holdfast.create_keyed('create_key_values', name, routed, 'value jsonb not null, expires_at timestamptz, primary key (key)');
  execute format('create index %I on %I (expires_at) where expires_at is not null', name || '_exp', name);
end $$;

create function holdfast.create_slotted_counter(name text, routed boolean default true) returns void
language plpgsql as $$
begin
  -- Room for updates in place (HOT): the rows are few, and written all the time.
  perform holdfast.create_keyed('create_slotted_counter', name, routed, 'slot int not null, n bigint not null default 0, primary key (key, slot)');
  execute format('alter table %I set (fillfactor = 50)', name);
end $$;
`,
};

-- A link lives on the shard of its code, and so does everything that must change together with it; `holds_key`
-- refuses a row that was sent to another shard.
create table link (
  -- Bytewise order, so that pages of several shards merge the same way everywhere.
  code text collate "C" primary key check (code ~ '^[A-Za-z0-9_-]{3,64}$') check (holds_key(code)),
  url text not null check (length(url) between 8 and 2048),
  status smallint not null check (status in (301, 302)),
  tags text[] not null,
  expires_at timestamptz,
  -- With a limit every redirect takes one visit here, in its own transaction; without one the row is not written.
  max_visits integer check (max_visits > 0),
  visits integer not null default 0,
  disabled boolean not null default false,
  -- SHA-256 of the edit key. The key itself is told once, to whoever made the link.
  edit_key_hash text not null,
  created_at_ms bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint,
  check (max_visits is null or visits <= max_visits)
);

-- Newest first, with the code to tell two links of one millisecond apart: the order of the cursor.
create index link_newest on link (created_at_ms desc, code desc);
create index link_tags on link using gin (tags);

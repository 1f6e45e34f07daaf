-- A note belongs to its tenant. Its key has two parts; which of them decide the shard is declared, not written here.
create table note (
  tenant text collate "C" not null,
  id bigint not null,
  body text not null,
  at timestamptz not null,
  primary key (tenant, id),
  check (holds_key(tenant, id))
);
create index note_at on note (at desc, tenant, id);

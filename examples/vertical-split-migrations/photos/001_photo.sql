create table photo (
  id text not null check (holds_key(id)),
  version text not null,
  bytes bytea not null,
  primary key (id, version)
);

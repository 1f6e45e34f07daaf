create table account (
  -- An account that was sent to the wrong shard is refused by the database itself.
  owner text primary key check (holds_key(owner)),
  cents bigint not null check (cents >= 0)
);

create table customer (
  id text primary key check (holds_key(id)),
  country text not null references country (code),
  plan text not null references plan (id)
);

create table doctor (
  name text primary key,
  ward text not null check (holds_key(ward)),
  on_call boolean not null
);

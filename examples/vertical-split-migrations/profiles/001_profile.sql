create table profile (
  id text primary key check (holds_key(id)),
  name text not null,
  -- The photo that counts. It is in the other database before it is named here.
  photo text
);

create table purchase (
  id bigint generated always as identity primary key,
  customer text not null check (holds_key(customer)),
  item text not null
);

create table account (
  bank text not null check (holds_key(bank)),
  name text not null,
  balance int not null check (balance >= 0),
  primary key (bank, name)
);

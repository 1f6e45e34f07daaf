create table person (id text primary key check (holds_key(id)), email text not null, city text);

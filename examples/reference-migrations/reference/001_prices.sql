create table country (code text primary key, name text not null);
create table plan (id text primary key, name text not null, cents bigint not null);
insert into country values ('de', 'Germany'), ('jp', 'Japan');
insert into plan values ('free', 'Free', 0), ('pro', 'Professional', 900);

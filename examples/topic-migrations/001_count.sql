create table visits (code text primary key, n int not null);

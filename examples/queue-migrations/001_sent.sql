create table sent (address text primary key, n int not null);

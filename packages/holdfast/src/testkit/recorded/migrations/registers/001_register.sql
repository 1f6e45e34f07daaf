create table register (key text primary key, value int not null);

create table note (key text primary key, value int not null);

create table list (key int primary key, elements int[] not null);

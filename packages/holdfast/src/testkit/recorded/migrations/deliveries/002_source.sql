create table source (number int primary key, key text not null);

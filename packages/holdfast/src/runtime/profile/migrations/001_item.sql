create table item (code text primary key, url text not null, visits int not null);

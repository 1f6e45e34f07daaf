create table delivered (
  position int generated always as identity primary key,
  key text not null,
  number int not null
);

create table event (
  id bigint primary key,
  at timestamptz not null,
  kind int not null,
  note text not null
);
create index event_at on event (at desc, id);

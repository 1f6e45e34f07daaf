create table author (id text primary key check (holds_key(id)), name text not null, stock int not null default 5);
create table post (
  author text not null references author,
  id int,
  author_name text,
  likes int not null default 0,
  points bigint not null default 0,
  primary key (author, id)
);
create table post_like (
  author text,
  post int,
  who text,
  points int not null default 1,
  primary key (author, post, who),
  foreign key (author, post) references post on delete cascade
);
-- Kept right through insert, update, upsert, delete, cascade, truncate and rollback, by triggers.
select holdfast.keep_count('post', 'likes', 'post_like', 'post');
select holdfast.keep_sum('post', 'points', 'post_like', 'post', 'points');
select holdfast.keep_copy('post', 'author_name', 'author', 'author', 'name');
-- For a counter that many write at once: several rows for each key.
select holdfast.create_slotted_counter('views');

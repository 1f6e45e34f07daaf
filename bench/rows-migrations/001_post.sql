create table post (
  id int primary key,
  kept int not null default 0,
  by_hand int not null default 0,
  alone int not null default 0
) with (fillfactor = 50);
create table kept_like (post int not null references post, who text, primary key (post, who));
create table hand_like (post int not null references post, who text, primary key (post, who));
select holdfast.keep_count('post', 'kept', 'kept_like', 'post');
select holdfast.create_slotted_counter('seen', routed => false);

-- Ids of the clicks that were counted: a click that comes twice is counted once. Pruned by age.
create table click_seen (
  id text primary key check (length(id) <= 128),
  seen_at timestamptz not null default now()
);
create index click_seen_age on click_seen (seen_at);

-- Clicks per day (UTC) and kind of device; 'bot' is a kind of its own, so that people's clicks are the others.
create table click_day (
  code text not null check (holds_key(code)),
  day date not null,
  device text not null check (device in ('desktop', 'mobile', 'tablet', 'other', 'bot')),
  clicks bigint not null,
  primary key (code, day, device)
);

-- People's clicks per referring host; '' is "none given". Outsiders choose these names, so a link keeps a
-- bounded number of them and puts the rest under '(other)'.
create table click_referrer (
  code text not null check (holds_key(code)),
  referrer text not null,
  clicks bigint not null,
  primary key (code, referrer)
);

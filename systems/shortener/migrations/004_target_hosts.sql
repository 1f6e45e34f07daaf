-- How many links lead to a host. On the shard of the host, not of the links: counted by the census from what was created.
create table target_host (
  host text collate "C" primary key check (length(host) <= 255) check (holds_key(host)),
  links bigint not null
);
create index target_host_most on target_host (links desc, host);

/**
 * The tables and functions that every database part has on every node, in schema `holdfast`: the commit marker,
 * and the hash that says which shard a key belongs to.
 *
 * Markers are kept for one to two days, in three partitions: the server's day modulo three. The one that comes
 * next can be emptied at any time of the day, because nobody writes to it and what it holds is old. When nobody
 * empties it, it only grows.
 */
import type { InstallStep } from "./install-step.ts";

export const markerInstall: InstallStep = {
  name: "marker",
  version: 1,
  sql: `
create table holdfast.marker (
  slot int not null default ((extract(epoch from now())::bigint / 86400) % 3),
  -- One attempt of a transaction. Its advisory lock is held until that transaction has ended.
  id uuid not null,
  shard int not null,
  idempotency_key text,
  fingerprint text,
  result json,
  created_at timestamptz not null default now(),
  primary key (slot, id)
) partition by list (slot);
create table holdfast.marker_0 partition of holdfast.marker for values in (0);
create table holdfast.marker_1 partition of holdfast.marker for values in (1);
create table holdfast.marker_2 partition of holdfast.marker for values in (2);
create unique index marker_key on holdfast.marker (slot, shard, idempotency_key)
  where idempotency_key is not null;

-- The shard of a key: FNV-1a (64 bits) over its UTF-8 bytes, finished by MurmurHash3's fmix64, modulo the
-- number of shards. Twin of keyHash in TypeScript. Kept in two halves of 32 bits, because bigint is signed and
-- overflows are errors.
create function holdfast.key_shard(key text, shard_count int) returns int
language plpgsql immutable strict parallel safe as $$
declare
  mask constant bigint := 4294967295;
  bytes constant bytea := convert_to(key, 'UTF8');
  hi bigint := 3421674724; -- 0xcbf29ce4
  lo bigint := 2216829733; -- 0x84222325
  product bigint;
  part bigint;
begin
  -- The prime is 2^40 + 0x1b3.
  for i in 0 .. length(bytes) - 1 loop
    lo := lo # get_byte(bytes, i);
    product := lo * 435;
    hi := (hi * 435 + (product >> 32) + (lo << 8)) & mask;
    lo := product & mask;
  end loop;
  lo := lo # (hi >> 1); -- h ^ (h >> 33)
  -- times 0xff51afd7ed558ccd
  part := (lo >> 16) * 3981806797;
  product := (lo & 65535) * 3981806797 + ((part & 65535) << 16);
  hi := ((product >> 32) + (part >> 16)
    + (lo & 65535) * 4283543511 + ((((lo >> 16) * 4283543511) & 65535) << 16)
    + (hi & 65535) * 3981806797 + ((((hi >> 16) * 3981806797) & 65535) << 16)) & mask;
  lo := product & mask;
  lo := lo # (hi >> 1);
  -- times 0xc4ceb9fe1a85ec53
  part := (lo >> 16) * 444984403;
  product := (lo & 65535) * 444984403 + ((part & 65535) << 16);
  hi := ((product >> 32) + (part >> 16)
    + (lo & 65535) * 3301882366 + ((((lo >> 16) * 3301882366) & 65535) << 16)
    + (hi & 65535) * 444984403 + ((((hi >> 16) * 444984403) & 65535) << 16)) & mask;
  lo := product & mask;
  lo := lo # (hi >> 1);
  return ((hi % shard_count) * (4294967296 % shard_count) + lo) % shard_count;
end $$;
`,
};

/**
 * What placing rows needs on every node: the text of a composite key, the layout that the data has, and the
 * directory of keys, which is filled on the database's home node only.
 */
import type { InstallStep } from "./install-step.ts";

export const placementInstall: InstallStep = {
  name: "placement",
  version: 1,
  sql: `
-- The text of a key: the one part that it has, or netstrings of all. Twin of keyText in TypeScript.
create function holdfast.key_text(variadic parts text[]) returns text
language sql immutable strict parallel safe
return case
  when array_position(parts, null) is not null then null
  when cardinality(parts) = 1 then parts[1]
  else (select string_agg(octet_length(convert_to(part, 'UTF8')) || ':' || part || ',', '' order by at)
    from unnest(parts) with ordinality as p (part, at))
end;
-- How keys find their shards, as the rows of this database were placed. One row.
create table holdfast.layout (
  one boolean primary key default true check (one),
  strategy text not null
);
-- Which shard a key is on, for ever. Written before anything of the key is; ready once the shard knows of it.
create table holdfast.directory (
  key text collate "C" primary key,
  shard int not null,
  ready boolean not null default false,
  assigned_at timestamptz not null default now()
);
`,
};

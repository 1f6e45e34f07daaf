/**
 * The tables of lookups. Two are in each shard's schema, so that they move with the shard:
 *
 * - `holdfast_lookup`, on the shard that the value hashes to: the value, the key it leads to, and the claim by which
 *   the key has it. A row promises nothing: it keeps others from the value until its claim is known to be dead.
 * - `holdfast_claim`, on the key's shard: the truth. A key has a value while a claim of it is there and not dead. A
 *   claim is born with the key's transaction or never, and once dead it stays so.
 *
 * The third, once per node, says of which kind a lookup is, so that it is not changed by accident.
 */
import { HoldfastError } from "../../../call/index.ts";
import type { ResolvedLookups } from "../../../parts/database/lookup/options.ts";
import type { InstallStep } from "../install-step.ts";
import type { PgSession } from "../session.ts";

export const lookupInstall: InstallStep = {
  name: "lookup",
  version: 1,
  sql: "create table holdfast.lookup_kind (name text primary key, is_unique boolean not null);",
};

const tablesSql = (schema: string) => `
create table if not exists ${schema}.holdfast_lookup (
  name text not null,
  value text not null,
  key text not null,
  claim uuid not null,
  is_unique boolean not null,
  -- Whether the write with this claim has been found to have committed: the sweep looks at the others.
  held boolean not null default false,
  claimed_at timestamptz not null default now(),
  primary key (name, value, key)
);
create unique index if not exists holdfast_lookup_unique on ${schema}.holdfast_lookup (name, value) where is_unique;
create index if not exists holdfast_lookup_pending on ${schema}.holdfast_lookup (claimed_at) where not held;
create table if not exists ${schema}.holdfast_claim (
  claim uuid primary key,
  name text not null,
  value text not null,
  key text not null,
  -- By the clock of whoever drew the claim: a claim that is too old is not born any more (claimAgeMax).
  issued_at timestamptz not null,
  dead boolean not null default false,
  died_at timestamptz,
  -- Of one that is alive: whether the sweep has seen its row. Of one that is dead: that the row is gone.
  swept boolean not null default false
);
create index if not exists holdfast_claim_key on ${schema}.holdfast_claim (key, name) where not dead;
create index if not exists holdfast_claim_unseen on ${schema}.holdfast_claim (claim) where not dead and not swept;
create index if not exists holdfast_claim_dead on ${schema}.holdfast_claim (died_at) where dead;
`;

/** Makes what is missing of the tables on these shards' schemas, which are there. */
export async function makeLookupTables(
  session: PgSession,
  schemas: readonly string[],
  lookups: ResolvedLookups,
): Promise<void> {
  if (lookups.size === 0 || schemas.length === 0) return;
  await checkKinds(session, lookups);
  const { rows } = await session.send<{ schema: string }>({
    text: "select s as schema from unnest($1::text[]) s where to_regclass(s || '.holdfast_claim') is null",
    values: [schemas],
  });
  if (rows.length === 0) return;
  await session.send({ text: "begin read write" });
  await session.send({ text: rows.map(({ schema }) => tablesSql(schema)).join("") });
  await session.send({ text: "commit" });
}

async function checkKinds(session: PgSession, lookups: ResolvedLookups): Promise<void> {
  const names = [...lookups.keys()];
  const { rows } = await session.send<{ name: string; is_unique: boolean }>({
    text: "select name, is_unique from holdfast.lookup_kind where name = any($1)",
    values: [names],
  });
  const problems = rows
    .filter((row) => lookups.get(row.name)?.unique !== row.is_unique)
    .map(
      ({ name, is_unique }) =>
        `lookup "${name}" was declared with unique: ${is_unique} before, and its values were written as that: declare it so, or give the new one another name`,
    );
  if (problems.length > 0)
    throw new HoldfastError("HOLDFAST_MIGRATION_CHANGED", `${problems.join("; ")}.`, { data: { problems } });
  if (rows.length === names.length) return;
  await session.send({ text: "begin read write" });
  await session.send({
    text: `insert into holdfast.lookup_kind select * from unnest($1::text[], $2::boolean[]) on conflict do nothing`,
    values: [names, names.map((name) => lookups.get(name)?.unique === true)],
  });
  await session.send({ text: "commit" });
}

/**
 * The claims of a key, on the key's own shard: the truth of what it has.
 *
 * A claim is in one of three states, and moves only forward: absent, alive, dead. It is born by the transaction of
 * its key, or killed before (a tombstone is put in its place); the primary key of the table lets only one of the two
 * happen. A tombstone is kept until its claim is too old to be born by anybody.
 */
import { CompiledQuery, sql, type Transaction } from "kysely";
import type { AnyTables, ReadLevel, ReadOptions } from "../../../parts/database/port.ts";
import { readByValues } from "./lookup-compiled.ts";
import { byShardOfKey, type Claim, issuedAt, type LookupEnv } from "./lookup-env.ts";

/**
 * A claim older than this is not born any more; tombstones are kept twice as long. Both are told by the clock of the
 * key's shard and the time in the claim itself, so that clocks which differ cost a refusal, and never a value.
 */
export const claimAgeMax = "1 day";
export const tombstoneAge = "2 days";

export interface Recorded {
  /** Claims that somebody has killed, or that are too old: the transaction must not commit. */
  readonly lost: readonly string[];
  /** What the key had besides, given up by the same transaction. */
  readonly released: readonly Claim[];
}

/** Writes of one key's lookups take turns: two that saw the same state would together give it two values. */
const lockSql = "select pg_advisory_xact_lock(hashtextextended($1, 7525352680829580150))";

const recordSql = `
with wanted as (
  select * from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[]) as wanted (claim, name, value, issued_at)
), born as (
  insert into holdfast_claim (claim, name, value, key, issued_at)
  select claim, name, value, $1, issued_at from wanted where issued_at > now() - '${claimAgeMax}'::interval
  on conflict (claim) do nothing returning claim
), released as (
  update holdfast_claim set dead = true, died_at = now(), swept = false
   where key = $1 and name = any($2::text[]) and not dead and claim <> all ($3::uuid[])
  returning claim, name, value
)
select 'alive' as what, claim, null as name, null as value from born
union all select 'alive', claim, null, null from holdfast_claim where claim = any($3::uuid[]) and not dead
union all select 'released', claim, name, value from released`;

/** In the key's transaction: bears the claims, and gives up what the key has besides under the same names. */
export async function recordClaims(
  tx: Transaction<AnyTables>,
  key: string,
  names: readonly string[],
  claims: readonly Claim[],
): Promise<Recorded> {
  const ids = claims.map((claim) => claim.id);
  // Sent together, one behind the other: the second has a snapshot from when the lock is held.
  const locked = tx.executeQuery(CompiledQuery.raw(lockSql, [key]));
  const recorded = tx.executeQuery<{
    what: "alive" | "released";
    claim: string;
    name: string;
    value: string;
  }>(
    CompiledQuery.raw(recordSql, [
      key,
      names,
      ids,
      claims.map((claim) => claim.name),
      claims.map((claim) => claim.value),
      ids.map(issuedAt),
    ]),
  );
  const [, { rows }] = await Promise.all([locked, recorded]);
  const alive = new Set(rows.filter((row) => row.what === "alive").map((row) => row.claim));
  return {
    lost: ids.filter((id) => !alive.has(id)),
    released: rows
      .filter((row) => row.what === "released")
      .map(({ claim, name, value }) => ({ id: claim, name, value, key })),
  };
}

export interface ClaimRow {
  readonly claim: string;
  readonly dead: boolean;
}

/** On the shard of their keys. */
export const claimsById = readByValues((db, ids) =>
  db.selectFrom("holdfast_claim").select(["claim", "dead"]).where("claim", ids.operator, ids.operand),
);

export type ClaimState = "absent" | "alive" | "dead";

/** The states of claims, each on the shard of its key. */
export async function claimStates(
  env: LookupEnv,
  claims: readonly Claim[],
  how: ReadLevel | ReadOptions,
): Promise<ReadonlyMap<string, ClaimState>> {
  const shards = await byShardOfKey(env, claims);
  const states = new Map<string, ClaimState>(claims.map((claim) => [claim.id, "absent"]));
  await Promise.all(
    [...shards].map(async ([shard, asked]) => {
      const ids = asked.map((claim) => claim.id);
      const rows = await env.port.read(shard, how, (db) => claimsById<ClaimRow>(db, ids));
      for (const row of rows) states.set(row.claim, row.dead ? "dead" : "alive");
    }),
  );
  return states;
}

/**
 * Puts tombstones in the place of claims that are not born; waits for transactions that are about to bear them.
 *
 * @returns the claims that are alive, and stay so
 */
export async function killClaims(env: LookupEnv, claims: readonly Claim[]): Promise<ReadonlySet<string>> {
  if (claims.length === 0) return new Set();
  await env.step("kill");
  const shards = await byShardOfKey(env, claims);
  const alive = await Promise.all(
    [...shards].map(([shard, some]) =>
      env.port.write(
        shard,
        async (tx) => {
          // DO UPDATE, because it answers with the row that is there, also one from after this statement began.
          const { rows } = await sql<{ claim: string; dead: boolean }>`
            insert into holdfast_claim as claim (claim, name, value, key, issued_at, dead, died_at)
            select killed.*, true, now()
              from unnest(${some.map((claim) => claim.id)}::uuid[], ${some.map((claim) => claim.name)}::text[],
                          ${some.map((claim) => claim.value)}::text[], ${some.map((claim) => claim.key)}::text[],
                          ${some.map((claim) => issuedAt(claim.id))}::timestamptz[]) as killed
             order by 1
            on conflict (claim) do update set swept = claim.swept returning claim, dead`.execute(tx);
          return rows.filter((row) => !row.dead).map((row) => row.claim);
        },
        {},
      ),
    ),
  );
  await env.step("killed");
  return new Set(alive.flat());
}

/**
 * The rows of values, each on the shard that its value hashes to.
 *
 * A row keeps others from a unique value. It is put there before the key's transaction begins, and goes, or passes
 * to another claim, only when its claim is known to be dead: so that a key never has a value without it.
 */
import { CompiledQuery, sql, type Transaction } from "kysely";
import type { AnyTables } from "../../../parts/database/port.ts";
import { type Claim, groupBy, type LookupEnv, shardOfValue } from "./lookup-env.ts";

export interface WantedClaim extends Claim {
  readonly unique: boolean;
}

/** A process that is paused inside this transaction loses it, where others would wait for its rows: it is tried again. */
const standstillSql = "set local idle_in_transaction_session_timeout to 2000";

/** What was found in the place of a wanted claim's row. */
export type RowFound =
  /** The key's own: the wanted claim, or one that it has, or had begun to make, before. */
  | { readonly kind: "own"; readonly wanted: WantedClaim; readonly claim: Claim }
  | { readonly kind: "other"; readonly wanted: WantedClaim; readonly claim: Claim; readonly ageMs: number }
  /** Somebody else's went away meanwhile. */
  | { readonly kind: "none"; readonly wanted: WantedClaim };

/**
 * Puts a row for each wanted claim where none is, and in the place of rows whose claim is among the `dead`. One
 * transaction on each shard, safe to repeat.
 */
export async function claimRows(
  env: LookupEnv,
  wanted: readonly WantedClaim[],
  dead: ReadonlySet<string>,
): Promise<readonly RowFound[]> {
  await env.step("claim");
  const shards = groupBy(inOrder(wanted), (claim) => shardOfValue(env, claim.name, claim.value));
  const found = await Promise.all(
    [...shards].map(([shard, claims]) =>
      env.port.write(
        shard,
        async (tx) => {
          const bounded = tx.executeQuery(CompiledQuery.raw(standstillSql));
          bounded.catch(() => {});
          const rows: RowFound[] = [];
          for (const claim of claims) rows.push(await claimRow(tx, claim, dead));
          await bounded;
          return rows;
        },
        {},
      ),
    ),
  );
  await env.step("claimed");
  return found.flat();
}

/** Two writers that claim the same values do it in the same order. */
function inOrder<C extends Claim>(claims: readonly C[]): readonly C[] {
  const order = (claim: Claim) => `${claim.name}\0${claim.value}`;
  return [...claims].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

const replaceSql = `update holdfast_lookup
  set key = $3, claim = $4::uuid, is_unique = $5, held = false, claimed_at = now()
  where name = $1 and value = $2 and claim = any($6::uuid[])`;

const insertSql = `insert into holdfast_lookup (name, value, key, claim, is_unique)
  values ($1, $2, $3, $4::uuid, $5) on conflict do nothing`;

const selectSql = `select key, claim, extract(epoch from clock_timestamp() - claimed_at)::float8 * 1000 as age
  from holdfast_lookup where name = $1 and value = $2 and (is_unique or key = $3)`;

async function claimRow(
  tx: Transaction<AnyTables>,
  wanted: WantedClaim,
  dead: ReadonlySet<string>,
): Promise<RowFound> {
  const { id, name, value, key, unique } = wanted;
  const written = [name, value, key, id, unique];
  const replaced = dead.size > 0 && tx.executeQuery(CompiledQuery.raw(replaceSql, [...written, [...dead]]));
  const inserted = tx.executeQuery(CompiledQuery.raw(insertSql, written));
  // A statement of its own: it sees the row that the one before has waited for.
  const selected = tx.executeQuery<{ key: string; claim: string; age: number }>(
    CompiledQuery.raw(selectSql, [name, value, key]),
  );
  const [, , { rows }] = await Promise.all([replaced, inserted, selected]);
  const row = rows.find((one) => one.key === key) ?? rows[0];
  if (!row) return { kind: "none", wanted };
  const claim: Claim = { id: row.claim, name, value, key: row.key };
  return row.key === key
    ? { kind: "own", wanted, claim }
    : { kind: "other", wanted, claim, ageMs: Number(row.age) };
}

/** Removes the rows of claims that are dead. */
export async function removeRows(env: LookupEnv, dead: readonly Claim[]): Promise<number> {
  if (dead.length === 0) return 0;
  await env.step("remove");
  const shards = groupBy(dead, (claim) => shardOfValue(env, claim.name, claim.value));
  const removed = await Promise.all(
    [...shards].map(([shard, claims]) =>
      env.port.write(
        shard,
        async (tx) => {
          const { numAffectedRows } = await sql`delete from holdfast_lookup l
            using unnest(${claims.map((claim) => claim.name)}::text[], ${claims.map((claim) => claim.value)}::text[],
                         ${claims.map((claim) => claim.id)}::uuid[]) as gone (name, value, claim)
            where l.name = gone.name and l.value = gone.value and l.claim = gone.claim`.execute(tx);
          return Number(numAffectedRows ?? 0);
        },
        {},
      ),
    ),
  );
  await env.step("removed");
  return removed.reduce((sum, count) => sum + count, 0);
}

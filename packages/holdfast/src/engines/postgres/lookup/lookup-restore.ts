/**
 * Putting rows back: an asynchronous failover may lose the row of a value whose key, on another node, has it still.
 *
 * Each claim that is alive is looked at once, when it is old enough: is its row there? One that is missing is put
 * there, unless somebody else has had the value since: then two keys have it, and people decide.
 */
import { CompiledQuery, sql } from "kysely";
import { claimStates } from "./lookup-claims.ts";
import { type Claim, groupBy, type LookupEnv, shardOfValue } from "./lookup-env.ts";
import type { ContestedValue } from "./lookup-error.ts";

const batchRows = 500;
const beforeAll = "00000000-0000-0000-0000-000000000000";

export interface Restored {
  readonly restored: number;
  readonly contested: readonly ContestedValue[];
}

/** @param shard whose claims are looked at */
export async function restoreRows(env: LookupEnv, shard: number, age: string): Promise<Restored> {
  let restored = 0;
  const contested: ContestedValue[] = [];
  for (let last = beforeAll; ; ) {
    const claims = await env.port.read(shard, "strong", (db) =>
      sql<Claim>`select claim as id, name, value, key from holdfast_claim
        where not dead and not swept and claim > ${last}::uuid and issued_at < now() - ${age}::interval
        order by claim limit ${batchRows}`
        .execute(db)
        .then((result) => result.rows),
    );
    const rows = await putBack(env, claims);
    restored += rows.filter((row) => row.made).length;
    const inPlace = rows.filter((row) => row.claim.id === row.found.id).map((row) => row.claim.id);
    const others = rows.filter((row) => row.claim.id !== row.found.id);
    const states = await claimStates(
      env,
      others.map((row) => row.found),
      "strong",
    );
    for (const { claim, found } of others) {
      // One that is not alive is swept or taken over; the next look finds the place free.
      if (states.get(found.id) === "alive")
        contested.push({ lookup: claim.name, value: claim.value, keys: [claim.key, found.key] });
    }
    if (inPlace.length > 0) {
      await env.port.write(
        shard,
        (tx) =>
          sql`update holdfast_claim set swept = true where claim = any(${inPlace}::uuid[]) and not dead`.execute(
            tx,
          ),
        {},
      );
    }
    const end = claims[claims.length - 1];
    if (!end || claims.length < batchRows) return { restored, contested };
    last = end.id;
  }
}

interface RowBack {
  readonly claim: Claim;
  /** What is in the place of its row now. */
  readonly found: Claim;
  readonly made: boolean;
}

const insertSql = `insert into holdfast_lookup (name, value, key, claim, is_unique)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::boolean[]) on conflict do nothing
  returning claim`;

const selectSql = `select wanted.claim as wanted, l.claim as id, l.name, l.value, l.key
  from unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) as wanted (name, value, key, claim)
  join holdfast_lookup l on l.name = wanted.name and l.value = wanted.value and (l.is_unique or l.key = wanted.key)`;

async function putBack(env: LookupEnv, claims: readonly Claim[]): Promise<readonly RowBack[]> {
  // Of a lookup that is declared no more nobody knows what kind it was; its rows are left as they are.
  const known = claims.filter((claim) => env.isUnique(claim.name) !== undefined);
  const shards = groupBy(known, (claim) => shardOfValue(env, claim.name, claim.value));
  const rows = await Promise.all(
    [...shards].map(async ([shard, some]) => {
      const columns = [
        some.map((claim) => claim.name),
        some.map((claim) => claim.value),
        some.map((claim) => claim.key),
        some.map((claim) => claim.id),
      ];
      const uniques = some.map((claim) => env.isUnique(claim.name) === true);
      return env.port.write(
        shard,
        async (tx) => {
          const inserted = tx.executeQuery<{ claim: string }>(
            CompiledQuery.raw(insertSql, [...columns, uniques]),
          );
          const selected = tx.executeQuery<Claim & { wanted: string }>(CompiledQuery.raw(selectSql, columns));
          const [{ rows: fresh }, { rows: there }] = await Promise.all([inserted, selected]);
          const made = new Set(fresh.map((row) => row.claim));
          const found = new Map(there.map((row) => [row.wanted, row]));
          return some.flatMap((claim): RowBack[] => {
            const row = found.get(claim.id);
            return row ? [{ claim, found: row, made: made.has(claim.id) }] : [];
          });
        },
        {},
      );
    }),
  );
  return rows.flat();
}

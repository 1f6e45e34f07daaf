/**
 * Sweeping: removes what writes that were cut short have left, and forgets tombstones that nobody needs any more.
 *
 * Each look is at rows that an index knows by: values whose claim has not been confirmed, and claims that died. Rows
 * younger than a minute are left alone, so that a write under way is not stopped for nothing; whatever is swept at
 * the wrong moment costs a write another attempt, and nothing else. Any number of processes may sweep at once.
 */
import { sql } from "kysely";
import type { LookupSweep } from "../../../parts/database/lookup/port.ts";
import { claimStates, killClaims, tombstoneAge } from "./lookup-claims.ts";
import type { Claim, LookupEnv } from "./lookup-env.ts";
import { type ContestedValue, contestedError } from "./lookup-error.ts";
import { restoreRows } from "./lookup-restore.ts";
import { removeRows } from "./lookup-rows.ts";

const settledAge = "1 minute";
/** Longer than a replica may be behind: a claim that is seen before that is seen to have a row that may still be lost. */
const safeAge = "10 minutes";
const batchRows = 500;

/** @param given for tests: the age of what is looked at, as an interval of Postgres */
export async function sweepLookups(env: LookupEnv, given?: string): Promise<LookupSweep> {
  const swept = { confirmed: 0, removed: 0, forgotten: 0, restored: 0 };
  const contested: ContestedValue[] = [];
  const age = given ?? settledAge;
  for (let shard = 0; shard < env.port.shardCount; shard++) {
    await sweepRows(env, shard, age, swept);
    await sweepClaims(env, shard, age, swept);
    const restored = await restoreRows(env, shard, given ?? safeAge);
    swept.restored += restored.restored;
    contested.push(...restored.contested);
  }
  if (contested.length > 0) throw contestedError(env.database, contested);
  return swept;
}

type Counts = { -readonly [field in keyof LookupSweep]: number };

/** Rows whose claim nobody has confirmed: it is alive by now, or will never be. */
async function sweepRows(env: LookupEnv, shard: number, age: string, swept: Counts): Promise<void> {
  for (;;) {
    const rows = await env.port.read(shard, "strong", (db) =>
      sql<Claim>`select claim as id, name, value, key from holdfast_lookup
        where not held and claimed_at < now() - ${age}::interval order by claimed_at limit ${batchRows}`
        .execute(db)
        .then((result) => result.rows),
    );
    const states = await claimStates(env, rows, "strong");
    const alive = await killClaims(
      env,
      rows.filter((claim) => states.get(claim.id) === "absent"),
    );
    const isAlive = ({ id }: Claim) => states.get(id) === "alive" || alive.has(id);
    swept.removed += await removeRows(
      env,
      rows.filter((claim) => !isAlive(claim)),
    );
    const held = rows.filter(isAlive);
    if (held.length > 0) await confirm(env, shard, held);
    swept.confirmed += held.length;
    if (rows.length < batchRows) return;
  }
}

async function confirm(env: LookupEnv, shard: number, held: readonly Claim[]): Promise<void> {
  await env.port.write(
    shard,
    (tx) =>
      sql`update holdfast_lookup l set held = true
        from unnest(${held.map((claim) => claim.name)}::text[], ${held.map((claim) => claim.value)}::text[],
                    ${held.map((claim) => claim.id)}::uuid[]) as h (name, value, claim)
        where l.name = h.name and l.value = h.value and l.claim = h.claim`.execute(tx),
    {},
  );
}

/** Claims that died: their rows go, then they are kept only for as long as somebody might try to bear them. */
async function sweepClaims(env: LookupEnv, shard: number, age: string, swept: Counts): Promise<void> {
  for (;;) {
    const rows = await env.port.read(shard, "strong", (db) =>
      sql<Claim>`select claim as id, name, value, key from holdfast_claim
        where dead and not swept and died_at < now() - ${age}::interval order by died_at limit ${batchRows}`
        .execute(db)
        .then((result) => result.rows),
    );
    swept.removed += await removeRows(env, rows);
    if (rows.length > 0) await markSwept(env, shard, rows);
    if (rows.length < batchRows) break;
  }
  swept.forgotten += await env.port.write(
    shard,
    async (tx) => {
      const { numAffectedRows } = await sql`delete from holdfast_claim
        where dead and swept and issued_at < now() - ${sql.lit(tombstoneAge)}::interval`.execute(tx);
      return Number(numAffectedRows ?? 0);
    },
    {},
  );
}

async function markSwept(env: LookupEnv, shard: number, rows: readonly Claim[]): Promise<void> {
  const ids = rows.map((claim) => claim.id);
  await env.port.write(
    shard,
    (tx) =>
      sql`update holdfast_claim set swept = true where claim = any(${ids}::uuid[]) and dead`.execute(tx),
    {},
  );
}

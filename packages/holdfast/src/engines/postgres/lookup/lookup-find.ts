/**
 * Finding: the row of the value first, then whether its claim is alive on the shard of its key.
 *
 * Both reads have the level that was asked for. With strong reads the answer is that of one moment between the two:
 * a claim that is alive at the second is the answer then; one that is not was dead, or not born, when its row was
 * read, or died in between, and behind its death and ahead of the next claim nobody has the value.
 */
import type { Kysely } from "kysely";
import type { LookupPage } from "../../../parts/database/lookup/port.ts";
import type { AnyTables, ReadLevel, ReadOptions } from "../../../parts/database/port.ts";
import { type ClaimRow, claimStates, claimsById } from "./lookup-claims.ts";
import { readByValues } from "./lookup-compiled.ts";
import { type Claim, groupBy, type LookupEnv, shardOfValue } from "./lookup-env.ts";

const rowsByValue = readByValues((db, values) =>
  db
    .selectFrom("holdfast_lookup")
    .select(["value", "key", "claim as id"])
    .where("name", "=", "")
    .where("value", values.operator, values.operand),
);

/** The first read, and then both others at once: whether the claim is alive goes ahead of `run`, in one packet. */
export async function readByLookup<T>(
  env: LookupEnv,
  name: string,
  value: string,
  how: ReadLevel | ReadOptions,
  run: (sql: Kysely<AnyTables>, key: string) => Promise<T>,
): Promise<{ readonly key: string; readonly value: T } | undefined> {
  const [row] = await env.port.read(shardOfValue(env, name, value), how, (db) =>
    rowsByValue<Omit<Claim, "name">>(db, [value], [name]),
  );
  if (!row) return undefined;
  return env.port.read(await env.port.locate(row.key), how, async (db) => {
    const [claims, answer] = await Promise.allSettled([claimsById<ClaimRow>(db, [row.id]), run(db, row.key)]);
    if (claims.status === "rejected") throw claims.reason;
    if (claims.value[0]?.dead !== false) return undefined;
    if (answer.status === "rejected") throw answer.reason;
    return { key: row.key, value: answer.value };
  });
}

export async function findKeys(
  env: LookupEnv,
  name: string,
  values: readonly string[],
  how: ReadLevel | ReadOptions,
): Promise<ReadonlyMap<string, string>> {
  const shards = groupBy(values, (value) => shardOfValue(env, name, value));
  const rows = await Promise.all(
    [...shards].map(([shard, sought]) =>
      env.port.read(shard, how, (db) => rowsByValue<Omit<Claim, "name">>(db, sought, [name])),
    ),
  );
  const alive = await aliveAmong(env, name, rows.flat(), how);
  return new Map(alive.map(({ value, key }) => [value, key]));
}

export async function keysOfValue(
  env: LookupEnv,
  name: string,
  value: string,
  { limit, after }: LookupPage,
  how: ReadLevel | ReadOptions,
): Promise<readonly string[]> {
  const keys: string[] = [];
  let last = after;
  while (keys.length < limit) {
    const rows = await env.port.read(shardOfValue(env, name, value), how, (db: Kysely<AnyTables>) => {
      const page = db
        .selectFrom("holdfast_lookup")
        .select(["value", "key", "claim as id"])
        .where("name", "=", name)
        .where("value", "=", value)
        .orderBy("key")
        .limit(limit);
      return (last === undefined ? page : page.where("key", ">", last)).execute();
    });
    const alive = await aliveAmong(env, name, rows, how);
    keys.push(...alive.map((row) => row.key));
    if (rows.length < limit) break;
    last = rows[rows.length - 1]?.key;
  }
  return keys.slice(0, limit);
}

async function aliveAmong(
  env: LookupEnv,
  name: string,
  rows: readonly Omit<Claim, "name">[],
  how: ReadLevel | ReadOptions,
): Promise<readonly Claim[]> {
  const claims = rows.map((row) => ({ ...row, name }));
  if (claims.length === 0) return [];
  const states = await claimStates(env, claims, how);
  return claims.filter((claim) => states.get(claim.id) === "alive");
}

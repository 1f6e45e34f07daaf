/**
 * Values by key, with expiry: sessions, drafts, settings, small states. For documents that are searched or have a
 * version, `documents`; for what may be forgotten at any time, a cache.
 *
 * The table is made by `select holdfast.create_key_values('setting')` in a migration. Expiry is by the store's
 * clock: what has expired is not answered any more, and `sweep` removes it.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { sql } from "kysely";
import type { AnyDatabase } from "../database/index.ts";
import { refuseInput, wholeProblems } from "./input-error.ts";
import { checkedJson, jsonText } from "./json-text.ts";
import {
  KeyedTable,
  type KeyedTableOptions,
  type ReadHow,
  type Statements,
  type WriteHow,
} from "./keyed-table.ts";

export interface KeyValuesOptions<Value> extends KeyedTableOptions {
  /** What every value has to fit. Any Standard Schema. */
  readonly schema: StandardSchemaV1<unknown, Value>;
  /** The most that a value may have as JSON, in bytes, 1 to 16_777_216. Default 262_144. */
  readonly bytesMax?: number;
}

export const keyValuesDefaults = { bytesMax: 262_144 } as const;

export interface SetHow extends WriteHow {
  /** How long it is there, in milliseconds, 1 to 315_360_000_000 (ten years). Default: until it is deleted. */
  readonly ttlMs?: number;
}

export interface CompareAndSet<Value> extends SetHow {
  /** What should be there; `undefined`: nothing, or what has expired. Compared as JSON: order of members is no matter. */
  readonly expect: Value | undefined;
  readonly set: Value;
}

export interface KeyValues<Value> {
  /** Inside a transaction: as of the moment that it began. */
  get(key: string, how?: ReadHow): Promise<Value | undefined>;
  /** Those that are there. One statement for each shard that has any of the keys, side by side. */
  getMany(keys: readonly string[], how?: ReadHow): Promise<ReadonlyMap<string, Value>>;
  set(key: string, value: Value, how?: SetHow): Promise<void>;
  /** @returns whether it was set */
  compareAndSet(key: string, how: CompareAndSet<Value>): Promise<boolean>;
  /** @returns whether there was one */
  delete(key: string, how?: WriteHow): Promise<boolean>;
  /** Removes what has expired, up to `limit` of each shard (default 1_000), past rows that others hold. @returns how many */
  sweep(options?: { readonly limit?: number }): Promise<number>;
}

const ttlMsMax = 315_360_000_000;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function keyValues<Value>(
  database: AnyDatabase,
  table: string,
  options: KeyValuesOptions<Value>,
): KeyValues<Value> {
  const { schema, bytesMax = keyValuesDefaults.bytesMax } = options;
  const rows = new KeyedTable("keyValues", database, table, options, [
    ...wholeProblems("bytesMax", bytesMax, 1, 16_777_216),
    ...(typeof schema?.["~standard"]?.validate === "function" ? [] : ["schema should be a Standard Schema"]),
  ]);
  const rule = { what: rows.what, schema, bytesMax };
  const name = sql.id(table);
  const live = (db: Statements) =>
    db
      .selectFrom(table)
      .select(["key", "value"])
      .where((is) => is.or([is("expires_at", "is", null), is("expires_at", ">", is.fn("now"))]));
  const checkTtl = (ttlMs: number | undefined) => {
    if (ttlMs !== undefined) refuseInput(rows.what, wholeProblems("ttlMs", ttlMs, 1, ttlMsMax));
  };
  const expiry = (ttlMs: number | undefined) =>
    ttlMs === undefined ? sql`null` : sql`clock_timestamp() + ${ttlMs} * interval '1 millisecond'`;

  return {
    async get(key, how = {}) {
      const row = await rows.read(key, how, (db) => live(db).where("key", "=", key).executeTakeFirst());
      return row?.value as Value | undefined;
    },
    async getMany(keys, how = {}) {
      const found = await rows.readMany(keys, how, (db, some) =>
        live(db)
          .where((is) => is("key", "=", is.fn.any(is.val(some))))
          .execute(),
      );
      return new Map(found.map((row) => [String(row.key), row.value as Value]));
    },
    async set(key, value, how = {}) {
      checkTtl(how.ttlMs);
      const json = await checkedJson(rule, value);
      await rows.write(key, how, (tx) =>
        sql`insert into ${name} (key, value, expires_at) values (${key}, ${json}::jsonb, ${expiry(how.ttlMs)})
          on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at`.execute(
          tx,
        ),
      );
    },
    async compareAndSet(key, { expect, set, ttlMs, ...how }) {
      checkTtl(ttlMs);
      const json = await checkedJson(rule, set);
      const statement =
        expect === undefined
          ? sql`insert into ${name} as t (key, value, expires_at) values (${key}, ${json}::jsonb, ${expiry(ttlMs)})
              on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at
              where t.expires_at <= clock_timestamp()`
          : sql`update ${name} set value = ${json}::jsonb, expires_at = ${expiry(ttlMs)} where key = ${key}
              and value = ${jsonText({ what: `${rows.what}, expect`, bytesMax }, expect)}::jsonb
              and (expires_at is null or expires_at > clock_timestamp())`;
      const { numAffectedRows } = await rows.write(key, how, (tx) => statement.execute(tx));
      return (numAffectedRows ?? 0n) > 0n;
    },
    async delete(key, how = {}) {
      const { rows: gone } = await rows.write(key, how, (tx) =>
        sql<{ live: boolean }>`delete from ${name} where key = ${key}
          returning expires_at is null or expires_at > clock_timestamp() as live`.execute(tx),
      );
      return gone[0]?.live === true;
    },
    async sweep({ limit = 1_000 } = {}) {
      refuseInput(rows.what, wholeProblems("limit", limit, 1, 100_000));
      const removed = await Promise.all(
        database.shards().map((shard) =>
          shard.write(async (tx) => {
            const { numAffectedRows } = await sql`delete from ${name} where key = any (array(
              select key from ${name} where expires_at <= now() order by expires_at limit ${limit}
              for update skip locked))`.execute(tx);
            return Number(numAffectedRows ?? 0n);
          }),
        ),
      );
      return removed.reduce((sum, count) => sum + count, 0);
    },
  };
}

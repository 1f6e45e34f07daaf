/**
 * A counter that many write at once: several rows, of which each writer takes one at random, and a read adds them
 * up. Writers of one row wait for each other's commit; spread over n rows they do so about n times less. Costs a
 * read of n rows, and bounds cannot be held: for those, `increment`.
 *
 * The table is made by `select holdfast.create_slotted_counter('hits')` in a migration.
 */
import { sql } from "kysely";
import type { AnyDatabase } from "../database/index.ts";
import { currentWorld } from "../world.ts";
import { refuseInput, wholeProblems } from "./input-error.ts";
import { KeyedTable, type KeyedTableOptions, type ReadHow, type WriteHow } from "./keyed-table.ts";

export interface SlottedCounterOptions extends KeyedTableOptions {
  /** Rows of one counter, 1 to 256. Default 16. May be changed at any time. */
  readonly slots?: number;
}

export const slottedCounterDefaults = { slots: 16 } as const;

export interface SlottedCounter {
  /** Adds, which may be below zero, to the counter of `key`, and makes it where there is none. Default: one. */
  add(key: string, by?: number, how?: WriteHow): Promise<void>;
  /** 0 where there is none. */
  read(key: string, how?: ReadHow): Promise<bigint>;
  readMany(keys: readonly string[], how?: ReadHow): Promise<ReadonlyMap<string, bigint>>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function slottedCounter(
  database: AnyDatabase,
  table: string,
  options: SlottedCounterOptions = {},
): SlottedCounter {
  const { slots = slottedCounterDefaults.slots } = options;
  const rows = new KeyedTable(
    "slottedCounter",
    database,
    table,
    options,
    wholeProblems("slots", slots, 1, 256),
  );
  const readMany: SlottedCounter["readMany"] = async (keys, how = {}) => {
    const found = await rows.readMany(keys, how, (db, some) =>
      db
        .selectFrom(table)
        .select((is) => ["key", is.fn.sum<string>("n").as("n")])
        .where((is) => is("key", "=", is.fn.any(is.val(some))))
        .groupBy("key")
        .execute(),
    );
    return new Map(found.map((row) => [String(row.key), BigInt(row.n)]));
  };
  return {
    async add(key, by = 1, how = {}) {
      refuseInput(
        rows.what,
        Number.isSafeInteger(by) ? [] : [`by should be a whole number that is exact, got ${by}`],
      );
      const slot = Math.floor(currentWorld().clock.random.next() * slots);
      await rows.write(key, how, (tx) =>
        sql`insert into ${sql.id(table)} as c (key, slot, n) values (${key}, ${slot}, ${by})
          on conflict (key, slot) do update set n = c.n + excluded.n`.execute(tx),
      );
    },
    read: async (key, how = {}) => (await readMany([key], how)).get(key) ?? 0n,
    readMany,
  };
}

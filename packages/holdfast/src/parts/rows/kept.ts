/**
 * Columns that migrations asked to be kept (`holdfast.keep_count`, `keep_sum`, `keep_copy`): whether any of them
 * drifted, and putting them right. They cannot drift through SQL; a restore with triggers off, or a hand that
 * disabled them, can do it.
 */
import { sql } from "kysely";
import type { AnyDatabase } from "../database/index.ts";

export interface KeptDrift {
  readonly shard: number;
  readonly kind: "count" | "sum" | "copy";
  readonly table: string;
  readonly column: string;
  /** Columns of the row's key, and their values. */
  readonly key: Readonly<Record<string, unknown>>;
  readonly kept: string | null;
  readonly expected: string | null;
}

/** Asks every shard's primary; reads both tables whole. @returns the rows that drifted, none when all is well */
export async function verifyKept(database: AnyDatabase): Promise<KeptDrift[]> {
  const found = await Promise.all(
    database.shards().map((shard) =>
      shard.read("strong", async (db) => {
        const { rows } = await sql<Omit<KeptDrift, "shard">>`select kind, table_name as "table",
          column_name as "column", key, kept, expected from holdfast.verify_kept()`.execute(db);
        return rows.map((row) => ({ shard: shard.index, ...row }));
      }),
    ),
  );
  return found.flat();
}

/** Holds the writers of the tables off while it works, one shard after another. @returns how many rows it put right */
export async function repairKept(database: AnyDatabase): Promise<number> {
  let repaired = 0;
  for (const shard of database.shards()) {
    repaired += await shard.write(async (tx) => {
      const { rows } = await sql<{ rows: string }>`select holdfast.repair_kept() as rows`.execute(tx);
      return Number(rows[0]?.rows);
    });
  }
  return repaired;
}

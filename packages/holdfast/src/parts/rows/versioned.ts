/**
 * Optimistic concurrency on any table with a version column: an update says which version it was made for, and is
 * refused when that is not the current one. Nothing is locked between the read and the update.
 */
import { sql } from "kysely";
import { refuseInput } from "./input-error.ts";
import type { Statements } from "./keyed-table.ts";
import { nameProblems } from "./names.ts";
import { versionConflict, versionProblems } from "./version-conflict.ts";
import { whereProblems } from "./where.ts";

export interface VersionedUpdate {
  /** Columns that name the one row, and their values. */
  readonly where: Readonly<Record<string, unknown>>;
  /** As it was read: number, or the decimal digits that a bigint column is read as. */
  readonly version: number | string;
  /** Columns to set. */
  readonly set: Readonly<Record<string, unknown>>;
  /** Column that has the version, a whole number. Default `version`. */
  readonly column?: string;
}

/**
 * @param tx of a write on the row's shard
 * @returns the new version, which is the old one and one
 * @throws {HoldfastError} HOLDFAST_VERSION_CONFLICT, and nothing of it was applied; `data.current` is the version
 *   that is there now, null when the row is gone
 */
export async function updateVersioned(
  tx: Statements,
  table: string,
  update: VersionedUpdate,
): Promise<number> {
  const { where, set, column = "version" } = update;
  const version = typeof update.version === "string" ? Number(update.version) : update.version;
  refuseInput("updateVersioned", [
    ...nameProblems("table", table),
    ...nameProblems("column", column),
    ...versionProblems("version", version),
    ...whereProblems(where),
    ...Object.keys(set).flatMap((name) => nameProblems("a column in set", name)),
    ...(column in set ? [`set should not have ${column}: it is raised by one`] : []),
  ]);
  const row = await tx
    .updateTable(table)
    .set({ ...set, [column]: sql`${sql.id(column)} + 1` })
    .where((is) => is.and({ ...where, [column]: version }))
    .returning(column)
    .executeTakeFirst();
  if (row) return Number(row[column]);
  const current = await tx
    .selectFrom(table)
    .select(column)
    .where((is) => is.and(where))
    .executeTakeFirst();
  throw versionConflict(table, version, current && Number(current[column]));
}

/** The answer to a change that was made for a version which is no longer the current one. */
import { HoldfastError } from "../../call/index.ts";

/** @param current the version that is there now; `undefined` when the row is not there */
export function versionConflict(
  table: string,
  expected: number | "absent",
  current: number | undefined,
): HoldfastError {
  const now = current === undefined ? "it is gone" : `it is ${current} now`;
  return new HoldfastError(
    "HOLDFAST_VERSION_CONFLICT",
    expected === "absent"
      ? "It should not have been there yet, but it is. Read it and decide anew."
      : `Version ${expected} was expected, but ${now}. Read it again and decide anew.`,
    { data: { table, expected, current: current ?? null } },
  );
}

/** @returns what is wrong with a version that a caller gave, beginning with `field` */
export function versionProblems(field: string, version: unknown): string[] {
  if (Number.isSafeInteger(version) && (version as number) >= 0) return [];
  return [`${field} should be a version as it was read, got ${String(version)}`];
}

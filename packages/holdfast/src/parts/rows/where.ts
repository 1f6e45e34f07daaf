/** The columns that name one row. */
import { nameProblems } from "./names.ts";

/** @returns what is wrong with it: no column at all, names that are none, values that match nothing or more than one */
export function whereProblems(where: Readonly<Record<string, unknown>>): string[] {
  const entries = Object.entries(where);
  if (entries.length === 0) return ["where should name at least one column"];
  return entries.flatMap(([name, value]) => [
    ...nameProblems("a column in where", name),
    ...(value === undefined || value === null || Array.isArray(value)
      ? [`where.${name} should be one value, got ${Array.isArray(value) ? "a list" : String(value)}`]
      : []),
  ]);
}

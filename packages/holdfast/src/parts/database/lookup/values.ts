/**
 * Values on their way into a lookup: checked and normalised, all problems told at once.
 */
import { HoldfastError } from "../../../call/index.ts";
import { lookupKeyBytesMax, type ResolvedLookup, type ResolvedLookups } from "./options.ts";
import type { LookupChange } from "./port.ts";

/** What a key has under each lookup after a write: one value, several, or none (`null`). */
export type LookupValues = Readonly<Record<string, string | readonly string[] | null>>;

/** Most values of one key under one lookup. Each is a claim of its own, with a transaction on its shard. */
export const lookupValuesMax = 100;

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID with every problem at once */
export function lookupChanges(
  database: string,
  lookups: ResolvedLookups,
  key: string | undefined,
  given: LookupValues,
): readonly LookupChange[] {
  const problems: string[] = [];
  if (key === undefined) {
    problems.push(
      "lookups need the key that has the values: write with at(key), not with a shard of shards()",
    );
  } else {
    problems.push(...keyProblems(key));
  }
  const named = typeof given === "object" && given !== null && !Array.isArray(given);
  if (!named) {
    const got = given === null ? "null" : Array.isArray(given) ? "a list" : typeof given;
    problems.push(`lookups should be an object such as { email: "a@b.c" }, got ${got}`);
  }
  const changes: LookupChange[] = [];
  for (const [name, value] of Object.entries(named ? given : {})) {
    const lookup = lookups.get(name);
    if (!lookup) {
      problems.push(unknownLookup(name, lookups));
      continue;
    }
    if (value === undefined) {
      problems.push(`lookups.${name} is undefined: say null for no value, or leave the field out`);
      continue;
    }
    const list = value === null ? [] : typeof value === "string" ? [value] : value;
    if (!Array.isArray(list)) {
      problems.push(`lookups.${name} should be a string, a list of strings or null, got ${typeof value}`);
      continue;
    }
    if (list.length > lookupValuesMax) {
      problems.push(
        `lookups.${name} has ${list.length} values; ${lookupValuesMax} is the most for one key. Keep what has more in a table`,
      );
      continue;
    }
    const values = new Set<string>();
    list.forEach((one, index) => {
      const field = value === one ? `lookups.${name}` : `lookups.${name}[${index}]`;
      const normal = normalValue(field, lookup, one, problems);
      if (normal !== undefined) values.add(normal);
    });
    changes.push({ name, unique: lookup.unique, values: [...values] });
  }
  refuse(`database "${database}"`, problems);
  return changes;
}

/** @returns the values as normalised, in the order given */
export function soughtValues(
  database: string,
  name: string,
  lookup: ResolvedLookup,
  given: readonly string[],
): readonly string[] {
  const problems: string[] = [];
  if (!Array.isArray(given)) problems.push(`values should be a list of strings, got ${typeof given}`);
  else if (given.length > soughtMax)
    problems.push(`values has ${given.length} entries; ${soughtMax} is the most at once. Ask in parts`);
  const values =
    problems.length > 0
      ? []
      : given.map((one, index) =>
          normalValue(given.length === 1 ? "value" : `values[${index}]`, lookup, one, problems),
        );
  refuse(`database "${database}", lookup "${name}"`, problems);
  return values as string[];
}

/** Most values that are looked for at once. */
export const soughtMax = 1_000;

export function unknownLookup(name: string, lookups: ResolvedLookups): string {
  const known = [...lookups.keys()].map((one) => JSON.stringify(one)).join(", ");
  return `there is no lookup ${JSON.stringify(name)}: ${known ? `declared are ${known}` : "none is declared; the database's option lookups declares them"}`;
}

function normalValue(
  field: string,
  lookup: ResolvedLookup,
  value: unknown,
  problems: string[],
): string | undefined {
  if (typeof value !== "string") {
    problems.push(`${field} should be a string, got ${value === null ? "null" : typeof value}`);
    return undefined;
  }
  let normal: unknown;
  try {
    normal = lookup.normalise(value);
  } catch (error) {
    problems.push(`${field}: normalise failed on it: ${(error as Error).message}`);
    return undefined;
  }
  if (typeof normal !== "string") {
    problems.push(`${field}: normalise should answer a string, and answered ${typeof normal}`);
    return undefined;
  }
  problems.push(...textProblems(field, normal, lookup.maxBytes));
  return normal;
}

export function keyProblems(key: string): string[] {
  return textProblems("the key", key, lookupKeyBytesMax);
}

function textProblems(field: string, text: string, bytesMax: number): string[] {
  const bytes = Buffer.byteLength(text);
  if (bytes === 0) return [`${field} is empty: for no value say null`];
  if (bytes > bytesMax) return [`${field} has ${bytes} bytes; ${bytesMax} is the most`];
  if (text.includes("\0")) return [`${field} has the character U+0000, which Postgres does not store`];
  // Such halves are all stored as the same replacement character: two values would become one.
  if (!text.isWellFormed()) return [`${field} has half a surrogate pair, which has no UTF-8`];
  return [];
}

function refuse(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new HoldfastError("HOLDFAST_INPUT_INVALID", `${what}: ${problems.join("; ")}.`, {
    data: { problems },
  });
}

/**
 * `users.lookup("email")`: from a value to the key that has it, whatever shard the key is on.
 *
 * Values are written with the rows of their key, `users.at(id).write(fn, { lookups: { email } })`, and found here.
 */
import type { Kysely } from "kysely";
import { currentCall, HoldfastError } from "../../../call/index.ts";
import type { Bindable } from "../../part.ts";
import { boundPort, currentWorld } from "../../world.ts";
import type { FullDatabasePort } from "../full-port.ts";
import type { AnyTables, ReadLevel, ReadOptions } from "../port.ts";
import type { ResolvedRead } from "../read-options.ts";
import type { ResolvedLookup, ResolvedLookups } from "./options.ts";
import { keyProblems, soughtValues, unknownLookup } from "./values.ts";

export interface Lookup<Tables = AnyTables> {
  readonly name: string;
  readonly unique: boolean;
  /** The key that has the value. For unique lookups. @param how level of the read; default: the database's own */
  find(value: string, how?: ReadLevel | ReadOptions): Promise<string | undefined>;
  /** The keys of those values that have one, by the values as they were given. At most 1000. For unique lookups. */
  findMany(values: readonly string[], how?: ReadLevel | ReadOptions): Promise<ReadonlyMap<string, string>>;
  /**
   * What `run` reads on the shard of the key that has the value; `undefined` when no key has it. As `find` and then
   * `at(key).read`, in a round trip less: `run` may be called in vain. For unique lookups.
   */
  read<T>(
    value: string,
    run: (sql: Kysely<Tables>, key: string) => Promise<T>,
    how?: ReadLevel | ReadOptions,
  ): Promise<{ readonly key: string; readonly value: T } | undefined>;
  /** Keys that have the value, a page of them: fewer than the limit at the end. */
  keys(value: string, page?: LookupPageOptions): Promise<readonly string[]>;
}

export interface LookupPageOptions {
  /** Most keys, 1 to 1000. Default 100. */
  readonly limit?: number;
  /** The last key of the page before. Default: from the first. */
  readonly after?: string;
  /** Level of the read. Default: the database's own. */
  readonly how?: ReadLevel | ReadOptions;
}

interface LookupOwner extends Bindable<FullDatabasePort> {
  readonly options: { readonly lookups: ResolvedLookups; readonly reads: ResolvedRead };
}

/** @throws {HoldfastError} HOLDFAST_INPUT_INVALID when the database declares no such lookup */
export function lookupHandle<Tables>(handle: LookupOwner, name: string): Lookup<Tables> {
  const { lookups, reads } = handle.options;
  const lookup = lookups.get(name);
  if (!lookup) throw invalid(handle.name, unknownLookup(name, lookups), { lookup: name });
  const report = <T>(operation: string, run: () => Promise<T>): Promise<T> =>
    currentWorld(handle).seam.operation("database", handle.name, operation, currentCall(), run, {
      lookup: name,
    });

  const checkUnique = () => {
    if (lookup.unique) return;
    throw invalid(
      handle.name,
      `lookup "${name}" is not unique, so that a value may have many keys: ask with keys(value)`,
      { lookup: name },
    );
  };
  const findMany = async (values: readonly string[], how: ReadLevel | ReadOptions = reads.level) => {
    checkUnique();
    const sought = soughtValues(handle.name, name, lookup, values);
    const keys = await boundPort(handle).lookups.find(name, [...new Set(sought)], how);
    const found = new Map<string, string>();
    sought.forEach((value, index) => {
      const key = keys.get(value);
      if (key !== undefined) found.set(values[index] as string, key);
    });
    return found;
  };

  return {
    name,
    unique: lookup.unique,
    find: (value, how) => report("lookup", async () => (await findMany([value], how)).get(value)),
    findMany: (values, how) => report("lookup", () => findMany(values, how)),
    read: (value, run, how = reads.level) =>
      report("lookup-read", async () => {
        checkUnique();
        const [sought] = soughtValues(handle.name, name, lookup, [value]);
        return boundPort(handle).lookups.read(name, sought as string, how, run);
      }),
    keys: (value, page = {}) => report("lookup-keys", () => keysOf(handle, lookup, name, value, page)),
  };
}

async function keysOf(
  handle: LookupOwner,
  lookup: ResolvedLookup,
  name: string,
  value: string,
  { limit = 100, after, how = handle.options.reads.level }: LookupPageOptions,
): Promise<readonly string[]> {
  const problems: string[] = [];
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= 1_000))
    problems.push(`limit should be a whole number from 1 to 1000, got ${limit}`);
  if (after !== undefined && typeof after !== "string") problems.push("after should be a key, as a string");
  else if (after !== undefined)
    problems.push(...keyProblems(after).map((problem) => problem.replace("the key", "after")));
  if (problems.length > 0) throw invalid(handle.name, problems.join("; "), { lookup: name, problems });
  const [sought] = soughtValues(handle.name, name, lookup, [value]);
  return boundPort(handle).lookups.keys(name, sought as string, { limit, after }, how);
}

function invalid(database: string, problem: string, data: Record<string, unknown>): HoldfastError {
  return new HoldfastError("HOLDFAST_INPUT_INVALID", `database "${database}": ${problem}.`, { data });
}

/**
 * Lookups on Postgres: the steps, put together over a database's reads and writes.
 */
import type { Clock } from "../../../clock/index.ts";
import type { AnyDatabase } from "../../../parts/database/index.ts";
import type { LookupPort } from "../../../parts/database/lookup/port.ts";
import type { LookupEnv } from "./lookup-env.ts";
import { findKeys, keysOfValue, readByLookup } from "./lookup-find.ts";
import { sweepLookups } from "./lookup-sweep.ts";
import { writeWithLookups } from "./lookup-write.ts";

/** How long a claim that is not born keeps others from its value: a write that goes well takes some milliseconds. */
const claimGraceMs = 2_000;

/** For tests. */
export interface LookupSettings {
  /** Awaited between any two steps, and may throw there. */
  readonly step?: LookupEnv["step"];
  readonly graceMs?: number;
}

export function postgresLookups(
  declaration: Pick<AnyDatabase, "name" | "options">,
  port: LookupEnv["port"],
  clock: Clock,
  { step = async () => {}, graceMs = claimGraceMs }: LookupSettings = {},
): LookupPort {
  const isUnique = (name: string) => declaration.options.lookups.get(name)?.unique;
  const env: LookupEnv = { database: declaration.name, port, clock, isUnique, graceMs, step };
  return {
    write: (write, run, options, undone) => writeWithLookups(env, write, run, options, undone),
    find: (name, values, how) => findKeys(env, name, values, how),
    read: (name, value, how, run) => readByLookup(env, name, value, how, run),
    keys: (name, value, page, how) => keysOfValue(env, name, value, page, how),
    sweep: () => sweepLookups(env),
  };
}

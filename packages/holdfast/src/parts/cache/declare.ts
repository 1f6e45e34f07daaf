/**
 * `cache`: answers kept close, in each process, bounded in size and age.
 *
 * A value is fresh for `ttlMs`. For `staleMs` after that it is still answered while one background load
 * refreshes it, and it stands in when the load cannot reach its source. Invalidation reaches every instance
 * over a bus; while the bus is down no entry is trusted for longer than `busBoundMs`.
 *
 * The load runs in a call of its own, whose session has seen the key's invalidation. Read with level `session`
 * (the default) in it: an `eventual` read may ask a replica that lags behind the invalidation, and bring the
 * old value back.
 */
import type { Transaction } from "kysely";
import { currentCall, refuseProblems } from "../../call/index.ts";
import type { AnyTables } from "../database/port.ts";
import { type Bindable, namingProblem } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";
import type { CachePort, CacheStats } from "./port.ts";

export interface CacheOptions {
  /** Freshness in milliseconds from the end of the load. Default 60_000. */
  readonly ttlMs?: number;
  /**
   * How long after `ttlMs` a value may still be answered while it is reloaded, or because the source cannot be
   * reached. Default 0. The price of staying up: with both the bus and the source down, an invalidated value
   * may be answered for that long, and a load may take what a lagging replica has. 0 refuses instead.
   */
  readonly staleMs?: number;
  /** Freshness of an absent value (`undefined` or `null`). Default a tenth of `ttlMs`. */
  readonly negativeTtlMs?: number;
  /** Bound of keys and values together, as JSON, in bytes; what is larger is not kept. Default 64 MiB. */
  readonly maxBytes?: number;
  /**
   * Without word from the bus for this long, entries are loaded anew before they are trusted: with `staleMs` 0 by
   * `session` reads that go to the primary, because nobody says how far a replica has to be. Default 5_000.
   */
  readonly busBoundMs?: number;
}

export type ResolvedCacheOptions = Required<CacheOptions>;

export const cacheDefaults = { ttlMs: 60_000, staleMs: 0, maxBytes: 64 << 20, busBoundMs: 5_000 } as const;

export interface Cache extends Bindable<CachePort> {
  readonly kind: "cache";
  readonly options: ResolvedCacheOptions;
  /**
   * The value of `key` (at most 1024 characters), from `load` when it is not here. `undefined` is kept too,
   * errors never. Everybody gets the same object: plain objects and arrays are frozen.
   */
  get<T>(key: string, load: () => Promise<T>): Promise<T>;
  /** Makes every instance forget `keys`: one key or several. `in` ties it to a database transaction. */
  invalidate(
    keys: string | readonly string[],
    options?: { readonly in?: Transaction<AnyTables> },
  ): Promise<void>;
  /** Counts of this process's engine. */
  stats(): CacheStats;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function cache(name: string, options: CacheOptions = {}): Cache {
  const handle: Cache = {
    kind: "cache",
    name,
    options: resolveCacheOptions(name, options),
    get: (key, load) => boundPort(handle).get(key, load),
    invalidate: (keys, { in: tx } = {}) =>
      currentWorld(handle).seam.operation("cache", name, "invalidate", currentCall(), () =>
        boundPort(handle).invalidate(typeof keys === "string" ? [keys] : keys, tx),
      ),
    stats: () => boundPort(handle).stats(),
  };
  return handle;
}

function resolveCacheOptions(name: string, options: CacheOptions): ResolvedCacheOptions {
  const ttlMs = options.ttlMs ?? cacheDefaults.ttlMs;
  const resolved: ResolvedCacheOptions = {
    ttlMs,
    staleMs: options.staleMs ?? cacheDefaults.staleMs,
    negativeTtlMs: options.negativeTtlMs ?? ttlMs / 10,
    maxBytes: options.maxBytes ?? cacheDefaults.maxBytes,
    busBoundMs: options.busBoundMs ?? cacheDefaults.busBoundMs,
  };
  const problems: string[] = [];
  const naming = namingProblem("cache", name);
  if (naming) problems.push(naming);
  if (!(resolved.ttlMs > 0)) problems.push(`ttlMs should be positive, got ${resolved.ttlMs}`);
  if (!(resolved.staleMs >= 0)) problems.push(`staleMs should be 0 or more, got ${resolved.staleMs}`);
  if (!(resolved.negativeTtlMs >= 0))
    problems.push(`negativeTtlMs should be 0 or more, got ${resolved.negativeTtlMs}`);
  if (!(Number.isSafeInteger(resolved.maxBytes) && resolved.maxBytes >= 1024)) {
    problems.push(`maxBytes should be a whole number of at least 1024, got ${resolved.maxBytes}`);
  }
  if (!(resolved.busBoundMs >= 100))
    problems.push(`busBoundMs should be at least 100, got ${resolved.busBoundMs}`);
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `cache "${name}"`, problems);
  return Object.freeze(resolved);
}

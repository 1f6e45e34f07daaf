/**
 * The cache engine in process: lru-cache for bounds, one shared load per key, and an invalidation bus for the
 * word from the other processes.
 *
 * An entry is answered as it is only while it is fresh and trusted:
 * - fresh: less than `ttlMs` since it was loaded;
 * - trusted: no gap in the bus since its load began, and the bus was heard within `busBoundMs`, or what the load
 *   brought was current that lately. So an invalidation holds everywhere within `busBoundMs`, even when the bus is
 *   down: what is not trusted is loaded anew.
 *
 * While the bus is down nobody says how far such a load has to read, and a replica that lags would bring back what
 * was invalidated. So the load's session then asks for more than any replica has, and `session` reads go to the
 * primary. With `staleMs` above 0 they do not: whoever wants answers while a primary is away takes a replica's.
 *
 * Stale values (only with `staleMs` above 0) are answered in two cases. Trusted but no longer fresh: at once,
 * while one background load refreshes them. Otherwise: only when the load failed because its source could not
 * be reached. That second case is the price of staying up when both bus and source are down: a value that was
 * invalidated meanwhile may be answered until `ttlMs + staleMs` after its load. `staleMs: 0` refuses instead.
 *
 * A call that has written, or seen, more of a database than an entry's load had bypasses the entry: it reads
 * its own writes.
 *
 * What an entry's age is measured from: trust from when its value is known to have been current (the start of a load
 * that asked the primary, the last word of the bus for any other), freshness from the end of the load.
 */
import { LRUCache } from "lru-cache";
import {
  Call,
  currentCall,
  HoldfastError,
  inCall,
  type LogPosition,
  type Seam,
  Session,
} from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { Cache, CachePort, CacheStats, InvalidationBus } from "../../parts/cache/index.ts";
import { singleFlight } from "../../resilience/index.ts";
import { recentInvalidations } from "./recent-invalidations.ts";
import { freezeDeep, storedBytes } from "./stored-value.ts";
import { isUnreachable } from "./unreachable.ts";

export interface MemoryCacheEnvironment {
  /** Without a bus, invalidation stays in this process and `{ in: tx }` is refused. */
  readonly bus: InvalidationBus | undefined;
  readonly clock: Clock;
  readonly seam: Seam;
}

export interface MemoryCache extends CachePort {
  /** Forgets everything and stops listening; later loads are answered but not kept. Twice is fine. */
  close(): Promise<void>;
}

/** A background refresh that has not ended by then is aborted, so that the next one can try. */
const refreshMsMax = 10_000;
/** After a failed load, old values stand in for this long before the source is asked again: one probe a second. */
const retryPauseMs = 1_000;
const keyLengthMax = 1024;

/**
 * The right to store what is loaded for a key. An invalidation takes it away; clocks play no part. Loads are
 * shared under the lease's id, not the key's name, so that who asks after an invalidation starts a new load.
 */
interface Lease {
  readonly id: string;
  /** The load's own call, once it runs. */
  shared: Call | undefined;
  readonly known: Known;
  /** Nodes whose words were missing when it began, and that it has to ask at the primary. */
  readonly unheard: readonly string[];
}

/** What is certain of a value: everything that was invalidated before `asOfMs` is in it. */
interface Known {
  readonly asOfMs: number;
  /** How many gaps of the bus had been heard. */
  readonly gaps: number;
}

interface Entry {
  readonly value: unknown;
  readonly known: Known;
  readonly freshUntilMs: number;
  readonly staleUntilMs: number;
  /** What the load had seen at least. */
  readonly seen: Session;
  /** Not before this is the source asked again after a failed load. */
  retryAtMs: number;
}

export function memoryCache(declaration: Cache, { bus, clock, seam }: MemoryCacheEnvironment): MemoryCache {
  const { name } = declaration;
  const { ttlMs, staleMs, negativeTtlMs, maxBytes, busBoundMs } = declaration.options;
  const entries = new LRUCache<string, Entry>({ maxSize: maxBytes });
  const leases = new Map<string, Lease>();
  const flights = singleFlight(clock, { acrossPrincipals: true });
  const recent = recentInvalidations(clock);
  let lastSeen = new Session();
  const counts = {
    hits: 0,
    misses: 0,
    staleAnswers: 0,
    loads: 0,
    loadFailures: 0,
    overtakenLoads: 0,
    refusedValues: 0,
    invalidations: 0,
    gaps: 0,
  };
  let leasesGiven = 0;
  let closed = false;

  const isTrusted = ({ asOfMs, gaps }: Known, nowMs: number): boolean => {
    if (gaps !== counts.gaps) return false;
    if (bus === undefined || nowMs < asOfMs + busBoundMs) return true;
    const heardMs = bus.lastSyncMs();
    return heardMs !== undefined && nowMs < heardMs + busBoundMs;
  };

  const get = <T>(key: string, load: () => Promise<T>): Promise<T> => {
    const entry = entries.get(key);
    if (entry === undefined) return wait(key, load);
    const session = currentCall()?.session;
    if (session !== undefined && session.size > 0 && !entry.seen.covers(session)) return wait(key, load);
    const nowMs = clock.monotonicMs();
    const trusted = isTrusted(entry.known, nowMs);
    if (trusted && nowMs < entry.freshUntilMs) {
      counts.hits++;
      return Promise.resolve(entry.value as T);
    }
    if (staleMs === 0 || nowMs >= entry.staleUntilMs) return wait(key, load);
    if (trusted) {
      if (nowMs >= entry.retryAtMs && !heldLease(key)) refresh(key, load);
    } else if (nowMs >= entry.retryAtMs) {
      return wait(key, load);
    }
    counts.staleAnswers++;
    return Promise.resolve(entry.value as T);
  };

  const wait = async <T>(key: string, load: () => Promise<T>): Promise<T> => {
    if (typeof key !== "string" || key.length > keyLengthMax) throw keyError(name);
    const call = currentCall();
    call?.throwIfOver();
    counts.misses++;
    try {
      return await share(key, load, call);
    } catch (error) {
      const standIn = isUnreachable(error) ? standInFor(key, call) : undefined;
      if (standIn === undefined) throw error;
      counts.staleAnswers++;
      return standIn.value as T;
    }
  };

  /** Loads in nobody's name, within a bound. */
  const refresh = (key: string, load: () => Promise<unknown>): void => {
    const call = new Call(clock, { timeoutMs: refreshMsMax });
    share(key, load, call)
      .catch(() => {}) // counted, and reported at the seam; the old value stands
      .finally(() => call.end());
  };

  const standInFor = (key: string, call: Call | undefined): Entry | undefined => {
    const entry = entries.peek(key);
    if (staleMs === 0 || entry === undefined || clock.monotonicMs() >= entry.staleUntilMs) return undefined;
    return call === undefined || entry.seen.covers(call.session) ? entry : undefined;
  };

  /** The lease whose load may answer `call`: not one that everybody has left, nor one from before its writes. */
  const heldLease = (key: string, call?: Call): Lease | undefined => {
    const lease = leases.get(key);
    if (lease?.shared?.signal?.aborted) return undefined;
    // A load that takes long brings what was there when it began.
    if (lease && !isTrusted(lease.known, clock.monotonicMs())) return undefined;
    if (call === undefined || call.session.size === 0) return lease;
    return lease?.shared?.session.covers(call.session) ? lease : undefined;
  };

  const newLease = (): Lease => {
    const nowMs = clock.monotonicMs();
    const silent = bus?.unheard(nowMs - busBoundMs) ?? [];
    const asOfMs = bus === undefined || silent.length > 0 ? nowMs : (bus.lastSyncMs() ?? nowMs);
    return {
      id: String(++leasesGiven),
      shared: undefined,
      known: { asOfMs, gaps: counts.gaps },
      unheard: staleMs === 0 ? silent : [],
    };
  };

  const share = <T>(key: string, load: () => Promise<T>, call: Call | undefined): Promise<T> => {
    const lease = heldLease(key, call) ?? newLease();
    leases.set(key, lease);
    return flights.run(lease.id, (shared) => loadUnder(lease, key, load, shared), call);
  };

  const loadUnder = async <T>(
    lease: Lease,
    key: string,
    load: () => Promise<T>,
    shared: Call,
  ): Promise<T> => {
    lease.shared = shared;
    recent.raise(shared.session, key);
    counts.loads++;
    try {
      const value = await seam.operation("cache", name, "load", shared, () => loadFrom(lease, shared, load));
      if (giveBack(key, lease)) store(key, lease.known, shared.session, value);
      else counts.overtakenLoads++;
      return value;
    } catch (error) {
      counts.loadFailures++;
      const entry = giveBack(key, lease) && isUnreachable(error) ? entries.peek(key) : undefined;
      if (entry) entry.retryAtMs = clock.monotonicMs() + retryPauseMs;
      throw error;
    }
  };

  const loadFrom = async <T>(lease: Lease, shared: Call, load: () => Promise<T>): Promise<T> => {
    if (lease.unheard.length === 0) return load();
    // A session of its own: what it asks for was seen by nobody, and must not be taken for it.
    const session = new Session();
    session.merge(shared.session);
    for (const node of lease.unheard) session.requirePrimary(node);
    using call = new Call(clock, { session }, shared);
    return await inCall(call, load);
  };

  /** @returns whether the lease was still held */
  const giveBack = (key: string, lease: Lease): boolean => leases.get(key) === lease && leases.delete(key);

  const store = (key: string, known: Known, session: Session, value: unknown): void => {
    if (closed) return;
    const size = storedBytes(key, value);
    if (size === undefined || size > maxBytes) {
      counts.refusedValues++;
      entries.delete(key);
      return;
    }
    // Between two invalidations all loads have seen the same: one object says so for all of their entries.
    if (!(lastSeen.covers(session) && session.covers(lastSeen))) lastSeen = session;
    const freshMs = value === undefined || value === null ? negativeTtlMs : ttlMs;
    const freshUntilMs = clock.monotonicMs() + freshMs;
    const entry: Entry = {
      value: freezeDeep(value),
      known,
      freshUntilMs,
      staleUntilMs: freshUntilMs + staleMs,
      seen: lastSeen,
      retryAtMs: 0,
    };
    entries.set(key, entry, { size });
  };

  const forget = (keys: readonly string[]): void => {
    counts.invalidations += keys.length;
    for (const key of keys) {
      entries.delete(key);
      leases.delete(key);
    }
  };

  const unsubscribe = bus?.subscribe(name, {
    invalidated(keys, node, position) {
      recent.add(keys, seenOn(node, position));
      forget(keys);
    },
    gap(node, position) {
      counts.gaps++;
      recent.addForAll(seenOn(node, position));
      leases.clear();
    },
  });

  return {
    get,
    async invalidate(keys, tx) {
      for (const key of keys) {
        if (typeof key !== "string" || key.length > keyLengthMax) throw keyError(name);
      }
      if (keys.length === 0) return;
      if (tx !== undefined) {
        if (!bus) throw noBusError(name);
        return bus.publish(name, keys, tx);
      }
      // What the caller has written or seen, the loads from here on must see too.
      const call = currentCall();
      if (call && call.session.size > 0) {
        const seen = new Session();
        seen.merge(call.session);
        recent.add(keys, seen);
      }
      forget(keys);
      await bus?.publish(name, keys);
    },
    stats: (): CacheStats => ({ ...counts, entries: entries.size, bytes: entries.calculatedSize }),
    async close() {
      if (closed) return;
      closed = true;
      unsubscribe?.();
      leases.clear();
      entries.clear();
    },
  };
}

function seenOn(node: string, position: LogPosition): Session {
  const seen = new Session();
  seen.raise(node, position);
  return seen;
}

function keyError(name: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `cache "${name}": a key should be a string of at most ${keyLengthMax} characters. Shorten it, or use a hash of it.`,
    { data: { cache: name } },
  );
}

function noBusError(name: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `cache "${name}" has no invalidation bus, so nothing can tie its removal to a transaction. Declare a database in the system, or invalidate after the commit without \`in\`.`,
    { data: { cache: name, field: "in" } },
  );
}

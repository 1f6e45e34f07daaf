/**
 * The invalidation bus over Postgres: one reader a process for all its caches, one connection per node.
 *
 * A word without a transaction is written on the home node; a word in a transaction is written on the node of
 * that transaction, so every node is read. Words of a process that come at once are written as one.
 */
import { sql } from "kysely";
import { currentCall, deadlineError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { InvalidationBus, InvalidationListener } from "../../parts/cache/index.ts";
import { type BusReader, type BusTimings, type BusWord, startBusReader } from "./bus-reader.ts";
import type { DatabaseConfig } from "./config.ts";

/** How long `publish` tries at most, in milliseconds; a call's deadline may shorten it. */
const publishMsMax = 5_000;
/** Rows written in transactions of which the bus has not heard again: rolled back ones stay until pushed out. */
const ownRowsMax = 10_000;

export const busDefaults: BusTimings = {
  pollMs: 100,
  answerMsMax: 2_000,
  retentionMs: 600_000,
  sweepMs: 60_000,
};

/**
 * @param databases where words are written and read: the first node of the first is home. Every database in
 *   whose transactions a cache is invalidated belongs here.
 */
export function postgresInvalidationBus(
  databases: BusDatabase | readonly BusDatabase[],
  clock: Clock,
  timings: Partial<BusTimings> = {},
): InvalidationBus {
  const listeners = new Map<string, Set<InvalidationListener>>();
  const ownRows = new Set<string>();
  const nodes = [databases].flat().flatMap((database) => database.config.nodes);
  const readers = nodes.map((node) =>
    startBusReader({
      node,
      clock,
      timings: { ...busDefaults, ...timings },
      isOwn: (id) => ownRows.delete(id),
      deliver: (words, position) => {
        for (const { cache, keys } of words) {
          for (const listener of listeners.get(cache) ?? []) listener.invalidated(keys, node.name, position);
        }
      },
      gap: (position) => {
        for (const some of listeners.values()) for (const listener of some) listener.gap(node.name, position);
      },
    }),
  );
  const home = readers[0];
  if (!home) throw new RangeError("an invalidation bus needs a database with at least one node");
  const publishHome = coalesced(home, clock);

  return {
    async publish(cache, keys, tx) {
      if (!tx) return publishHome({ cache, keys });
      const { rows } = await sql<{ id: string }>`
        insert into holdfast.invalidation (cache, keys) values (${cache}, ${[...keys]}::text[])
        returning id::text`.execute(tx);
      for (const { id } of rows) ownRows.add(id);
      for (const id of ownRows) {
        if (ownRows.size <= ownRowsMax) break;
        ownRows.delete(id);
      }
      for (const reader of readers) reader.hurry();
    },
    subscribe(cache, listener) {
      const some = listeners.get(cache) ?? new Set();
      listeners.set(cache, some.add(listener));
      return () => {
        some.delete(listener);
      };
    },
    lastSyncMs() {
      let earliestMs = Infinity;
      for (const { lastSyncMs } of readers) {
        if (lastSyncMs === undefined) return undefined;
        if (lastSyncMs < earliestMs) earliestMs = lastSyncMs;
      }
      return earliestMs;
    },
    unheard: (sinceMs) =>
      nodes.flatMap(({ name }, index) => ((readers[index]?.lastSyncMs ?? -Infinity) < sinceMs ? [name] : [])),
    async close() {
      await Promise.all(readers.map((reader) => reader.close()));
    },
  };
}

/** Where a database's nodes are. */
export interface BusDatabase {
  readonly config: Pick<DatabaseConfig, "nodes">;
}

/** One write at a time; what is asked for meanwhile goes together in the next. */
function coalesced(home: BusReader, clock: Clock): (word: BusWord) => Promise<void> {
  let waiting: Asked[] = [];
  let writing = false;
  const drain = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      const words = group.map((asked) => asked.word);
      try {
        await home.publish(words, Math.max(...group.map((asked) => asked.deadlineAtMs)));
        for (const asked of group) asked.resolve();
      } catch (error) {
        for (const asked of group) asked.reject(error);
      }
    }
    writing = false;
  };
  return (word) =>
    new Promise((resolve, reject) => {
      const call = currentCall();
      call?.throwIfOver();
      const deadlineAtMs = Math.min(clock.monotonicMs() + publishMsMax, call?.deadlineAtMs ?? Infinity);
      // The word may still be written after its asker has left: forgetting once more is harmless.
      if (call) call.signal?.addEventListener("abort", () => reject(deadlineError(call)), { once: true });
      waiting.push({ word, deadlineAtMs, resolve, reject });
      if (!writing) void drain();
    });
}

interface Asked {
  readonly word: BusWord;
  readonly deadlineAtMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What a cache engine needs from an invalidation bus: the way "forget these keys" takes to every process.
 *
 * The bus is at-least-once and unordered between nodes: forgetting twice is harmless. What it must never do is
 * lose a word silently, so it says when it may have (`gap`) and when it last knew everything (`lastSyncMs`).
 */
import type { Transaction } from "kysely";
import type { LogPosition } from "../../call/index.ts";
import type { AnyTables } from "../database/port.ts";

export interface InvalidationListener {
  /**
   * `keys` were invalidated by a transaction that committed on `node` at or before `position`: a load that
   * reads there must see at least that much, or it would bring the old value back.
   */
  invalidated(keys: readonly string[], node: string, position: LogPosition): void;
  /**
   * Words may have been missed (first contact, a lost connection, a restarted server): trust nothing older. All
   * of them committed on `node` at or before `position`: until a load there sees at least that much, it may bring
   * back the value of any key.
   */
  gap(node: string, position: LogPosition): void;
}

export interface InvalidationBus {
  /**
   * Tells every process to forget `keys` of `cache`. Resolves when the word is durable. With `tx` it is
   * written in that transaction: it commits with it, or not at all.
   *
   * @throws {HoldfastError} with its outcome; repeating is harmless
   */
  publish(cache: string, keys: readonly string[], tx?: Transaction<AnyTables>): Promise<void>;
  /** @returns how to stop listening */
  subscribe(cache: string, listener: InvalidationListener): () => void;
  /**
   * The instant, on the clock's monotonic scale, up to which everything that committed on any node has been
   * heard. `undefined` before the first contact with all of them.
   */
  lastSyncMs(): number | undefined;
  /** Names of the nodes that have not been heard up to `sinceMs`, on the clock's monotonic scale. */
  unheard(sinceMs: number): readonly string[];
  /** Stops reading and closes the connections. Twice is fine. */
  close(): Promise<void>;
}

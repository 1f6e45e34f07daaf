/**
 * How far a load of each key has to read, so that a replica that lags behind the key's invalidation cannot
 * bring the old value back.
 *
 * Kept per key, because a position that was read a moment ago may die with its primary before any replica has
 * it: then only loads of the keys that were just invalidated have to wait for the primary, and all others go on.
 * After a while positions are pooled, and hold for every key: by then replicas are that far, or far behind.
 * So do positions of gaps from the start: nobody knows which keys were invalidated in one.
 */
import { Session } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";

const keepMs = 60_000;
const keysMax = 10_000;

export interface RecentInvalidations {
  /** Loads of `keys` must see what `seen` has. */
  add(keys: readonly string[], seen: Session): void;
  /** Loads of every key must see what `seen` has. */
  addForAll(seen: Session): void;
  /** Has the reads of `session` see what a load of `key` must see. */
  raise(session: Session, key: string): void;
}

export function recentInvalidations(clock: Clock): RecentInvalidations {
  /** In the order of their coming: the oldest first. */
  const byKey = new Map<string, { readonly seen: Session; readonly atMs: number }>();
  const ofAll = new Session();

  return {
    add(keys, seen) {
      const atMs = clock.monotonicMs();
      for (const key of keys) {
        const known = byKey.get(key);
        byKey.delete(key);
        byKey.set(key, { seen: known ? union(known.seen, seen) : seen, atMs });
      }
      for (const [key, oldest] of byKey) {
        if (byKey.size <= keysMax && atMs - oldest.atMs < keepMs) break;
        ofAll.merge(oldest.seen);
        byKey.delete(key);
      }
    },
    addForAll(seen) {
      ofAll.merge(seen);
    },
    raise(session, key) {
      session.want(ofAll);
      const own = byKey.get(key);
      if (own) session.want(own.seen);
    },
  };
}

function union(a: Session, b: Session): Session {
  const both = new Session();
  both.merge(a);
  both.merge(b);
  return both;
}

/**
 * Sessions that several readers use at once, for statements that are known to be quick.
 *
 * What waits in one packet costs one system call and one wake-up on either side, however many statements it holds; for
 * a read by key that is most of what it costs at all. Statements are answered in the order in which they were sent,
 * so a slow one holds up those behind it: only a few share, and only statements that were quick the last time. One
 * that turns out slow is on a session of its own from then on.
 */
import type { Patience } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";

/** Most readers of one session: further ones spread over the server's other processes. */
const readersMax = 4;

/** A pool, as far as it is used. */
interface Lender {
  /** Whether an operation waits for a session of its own. */
  readonly crowded: boolean;
  /** Whether a session that is in use would be handed out now: not of a server that the pool has left. */
  hands(session: PgSession): boolean;
  lease(patience: Patience, schema: string): Promise<PgSession> | PgSession;
  release(session: PgSession): void;
}

export interface SharedSession {
  readonly session: PgSession;
  readers: number;
  /** Nobody joins any more: somebody left a statement behind that was not answered in time. */
  shut: boolean;
}

export class SharedSessions {
  readonly #pool: Lender;
  readonly #open = new Set<SharedSession>();

  constructor(pool: Lender) {
    this.#pool = pool;
  }

  /** To be given back. @throws as the pool's `lease` says */
  async take(patience: Patience, schema: string): Promise<SharedSession> {
    // Whoever waits for a session of their own comes first.
    const joined = this.#pool.crowded ? undefined : this.#fullest();
    if (joined) {
      patience.call?.throwIfOver();
      joined.readers++;
      return joined;
    }
    const session = await this.#pool.lease(patience, schema);
    const shared = { session, readers: 1, shut: false };
    this.#open.add(shared);
    return shared;
  }

  give(shared: SharedSession): void {
    shared.readers--;
    if (shared.readers > 0) return;
    this.#open.delete(shared);
    const { session } = shared;
    // What is still under way nobody waits for.
    if (session.inFlight > 0) session.cancelAndDestroy();
    this.#pool.release(session);
  }

  /** The one with most readers that takes another: the fewer sessions, the more in one packet. */
  #fullest(): SharedSession | undefined {
    let fullest: SharedSession | undefined;
    for (const shared of this.#open) {
      const { session, readers, shut } = shared;
      if (readers < readersMax && !shut && this.#pool.hands(session) && readers > (fullest?.readers ?? 0))
        fullest = shared;
    }
    return fullest;
  }
}

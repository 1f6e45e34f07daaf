/**
 * The session of a read: shared with other readers at first, one of its own from the first statement on that does not
 * belong among others' (slow, new, or in need of a search path).
 */
import type { HoldfastError } from "../../call/index.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import { noSchema, type PgSession } from "./session.ts";
import type { SharedSession } from "./shared-sessions.ts";

export class HeldSession {
  readonly #pool: NodePool;
  readonly #patience: Patience;
  /** What is held, and has to be given back. Neither while it waits for a session of its own: both are others' then. */
  #shared: SharedSession | undefined;
  #own: PgSession | undefined;
  /** The last one that was held: what it says of its server holds also afterwards. */
  #session: PgSession;
  #released = false;
  /** Called when it is given back: from then on others use the session. */
  onRelease: (() => void) | undefined;

  constructor(pool: NodePool, patience: Patience, shared: SharedSession) {
    this.#pool = pool;
    this.#patience = patience;
    this.#shared = shared;
    this.#session = shared.session;
  }

  get session(): PgSession {
    return this.#session;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Leaves the shared session for one of its own. Called once. @throws as `NodePool.lease` says */
  async own(): Promise<PgSession> {
    const shared = this.#shared;
    if (shared?.readers === 1) {
      shared.shut = true; // alone on it, so that it is one of its own from now on
      return this.#session;
    }
    this.#shared = undefined;
    if (shared) this.#pool.shared.give(shared);
    const own = await this.#pool.lease(this.#patience, noSchema);
    this.#session = own;
    if (this.#released) this.#pool.release(own);
    else this.#own = own;
    return own;
  }

  get inFlight(): number {
    return this.#session.inFlight;
  }

  get bytesHeard(): number {
    return this.#session.bytesHeard;
  }

  get where(): string {
    return this.#session.where;
  }

  /** The caller waits no longer: stops the server where nobody else waits for it. */
  leave(): void {
    const shared = this.#shared;
    if (shared && shared.readers > 1) shared.shut ||= shared.session.inFlight > 0;
    else (shared?.session ?? this.#own)?.cancelAndDestroy();
  }

  /** The server is silent, to all who use the session. */
  cut(reason: HoldfastError): void {
    (this.#shared?.session ?? this.#own)?.cancelAndDestroy(reason);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.onRelease?.();
    if (this.#shared) this.#pool.shared.give(this.#shared);
    else if (this.#own) this.#pool.release(this.#own);
  }
}

/** @throws as `NodePool.lease` says */
export async function holdSession(pool: NodePool, patience: Patience): Promise<HeldSession> {
  return new HeldSession(pool, patience, await pool.shared.take(patience, noSchema));
}

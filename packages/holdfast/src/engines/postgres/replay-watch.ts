/**
 * Waiting for a standby to replay up to a position. One look at each standby serves all who wait for it.
 */
import type { Call, LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { NodePool } from "./pool.ts";
import { askReplayed } from "./routing-position.ts";

/** Pause between two looks, in milliseconds: a standby on the same machine is a millisecond behind. */
const lookMs = 2;
/** How long one look may take. */
const lookMsMax = 1_000;

interface Waiter {
  readonly pool: NodePool;
  readonly isThere: (pool: NodePool) => boolean;
  readonly resolve: (pool: NodePool | undefined) => void;
}

export class ReplayWatch {
  readonly #clock: Clock;
  readonly #waiters = new Map<NodePool, Set<Waiter>>();
  /** Where replay stood still for the whole of somebody's wait. */
  readonly #stuckAt = new Map<NodePool, bigint>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The first of `pools` whose standby is far enough, by what `isThere` makes of `pool.replayed`; `undefined` when
   * none is within `waitMs`, or the call is over. One that has not moved since a wait in vain is not waited for.
   */
  async first(
    pools: readonly NodePool[],
    isThere: (pool: NodePool) => boolean,
    waitMs: number,
    call: Call | undefined,
  ): Promise<NodePool | undefined> {
    const moving = pools.filter((pool) => !this.#isStuck(pool));
    if (moving.length === 0 || waitMs <= 0) return undefined;
    const before = new Map<NodePool, LogPosition | undefined>(moving.map((pool) => [pool, pool.replayed]));
    const { promise, resolve } = Promise.withResolvers<NodePool | undefined>();
    const waiters = moving.map((pool) => this.#wait({ pool, isThere, resolve }));
    let inVain = false;
    const timer = this.#clock.timer(waitMs, () => {
      inVain = true;
      resolve(undefined);
    });
    const over = () => resolve(undefined);
    call?.signal?.addEventListener("abort", over, { once: true });
    try {
      return await promise;
    } finally {
      timer.cancel();
      call?.signal?.removeEventListener("abort", over);
      for (const waiter of waiters) this.#leave(waiter);
      if (inVain) for (const [pool, replayed] of before) this.#noteStuck(pool, replayed);
    }
  }

  #wait(waiter: Waiter): Waiter {
    const { pool } = waiter;
    const waiters = this.#waiters.get(pool);
    if (waiters) waiters.add(waiter);
    else {
      this.#waiters.set(pool, new Set([waiter]));
      void this.#look(pool);
    }
    return waiter;
  }

  #leave(waiter: Waiter): void {
    this.#waiters.get(waiter.pool)?.delete(waiter);
  }

  /** Looks until nobody waits any more, or the standby cannot be asked. */
  async #look(pool: NodePool): Promise<void> {
    const waiters = this.#waiters.get(pool) as Set<Waiter>;
    try {
      while (waiters.size > 0) {
        const untilMs = this.#clock.monotonicMs() + lookMsMax;
        const replayed = await pool.use(askReplayed, { untilMs, call: undefined });
        if (!replayed) break;
        pool.replayed = replayed;
        for (const waiter of waiters) if (waiter.isThere(pool)) waiter.resolve(pool);
        if (waiters.size > 0) await this.#clock.sleep(lookMs);
      }
    } catch {
      // Away, or too busy to be asked: those who wait go on to the primary when their time is over.
    } finally {
      this.#waiters.delete(pool);
    }
  }

  #isStuck(pool: NodePool): boolean {
    const at = this.#stuckAt.get(pool);
    if (at === undefined) return false;
    if (pool.replayed?.lsn === at) return true;
    this.#stuckAt.delete(pool);
    return false;
  }

  #noteStuck(pool: NodePool, before: LogPosition | undefined): void {
    if (before && pool.replayed?.lsn === before.lsn) this.#stuckAt.set(pool, before.lsn);
  }
}

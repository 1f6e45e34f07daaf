/**
 * One process at a time moves shards of a database: locks that last as long as their connections, and the end of
 * whoever held them before.
 */
import type { HoldfastError } from "../../../call/index.ts";
import type { Clock } from "../../../clock/index.ts";
import type { DatabaseNodes } from "../nodes.ts";
import { patienceOf } from "../pool-lease.ts";
import type { PgSession } from "../session.ts";
import { strayError } from "./reshard-error.ts";

/** Name of the connections of a process that moves shards, with something of its own behind it. */
export const appName = "holdfast reshard";
const endMsMax = 10_000;

export interface LockWanted {
  readonly node: string;
  readonly key: string;
  readonly refused: () => HoldfastError;
  readonly before?: () => Promise<void>;
}

/** Locks that last as long as their connections; a lost one is taken again, unless somebody else has it by then. */
export class Locks {
  readonly #nodes: DatabaseNodes;
  readonly #clock: Clock;
  readonly #wanted: readonly LockWanted[];
  readonly #held = new Map<LockWanted, PgSession>();

  constructor(nodes: DatabaseNodes, clock: Clock, wanted: readonly LockWanted[]) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#wanted = wanted;
  }

  async hold(): Promise<void> {
    for (const wanted of this.#wanted) {
      const held = this.#held.get(wanted);
      if (held && !held.ended) continue;
      await wanted.before?.();
      const pool = this.#nodes.primary(wanted.node);
      if (held) pool.release(held);
      this.#held.delete(wanted);
      const session = await pool.lease(patienceOf(undefined, this.#clock));
      this.#held.set(wanted, session);
      session.taint();
      const { rows } = await session.send<{ held: boolean }>({
        text: `select pg_try_advisory_lock(${wanted.key}) as held`,
      });
      if (rows[0]?.held) continue;
      pool.release(session);
      this.#held.delete(wanted);
      throw wanted.refused();
    }
  }

  release(): void {
    for (const [{ node }, session] of this.#held) this.#nodes.primary(node).release(session);
    this.#held.clear();
  }
}

/** Ends the connections of whoever moved shards before: a killed one's may still be at work, a paused one's wake up. */
export async function endPredecessors(
  nodes: DatabaseNodes,
  node: string,
  mine: string,
  clock: Clock,
): Promise<void> {
  const untilMs = clock.monotonicMs() + endMsMax;
  await nodes.primary(node).use(async (session) => {
    for (;;) {
      const { rowCount } = await session.send({
        text: `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name like $1 and application_name <> $2 and datname = current_database()`,
        values: [`${appName} %`, mine],
      });
      if (rowCount === 0) return;
      if (clock.monotonicMs() > untilMs) throw strayError(node);
      await clock.sleep(20);
    }
  });
}

/**
 * One at a time per node: whoever migrates, and whoever moves shards (a reshard takes the same lock on the nodes
 * that it moves between, so that no table changes under it).
 *
 * The lock is asked for again and again instead of waited for: a statement that waits has a snapshot, CREATE INDEX
 * CONCURRENTLY of the one that migrates waits for every older snapshot, and both would wait for each other.
 */
import { currentCall } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import type { PgSession } from "./session.ts";

/** Key of the advisory lock in each node's database. Held by a session, and so gone with it. */
export const migrateLock = "7525352680829580149";

const askAgain = { baseMs: 10, capMs: 250 } as const;

/** @throws {HoldfastError} when the call is over first */
export async function takeMigrateLock(session: PgSession, clock: Clock): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { rows } = await session.send<{ taken: boolean }>({
      text: `select pg_try_advisory_lock(${migrateLock}) as taken`,
    });
    if (rows[0]?.taken) return;
    await clock.sleep(fullJitterMs(attempt, clock.random.next(), askAgain), currentCall()?.signal);
  }
}

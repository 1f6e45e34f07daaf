/**
 * Sessions for the statements of a topic, bounded on this side too.
 *
 * A server that stands still (paused, or out of reach while its host answers) neither answers nor breaks the
 * connection, and its own time limit stands still with it. So a user who is not done in time loses the session:
 * its statements then fail as on any broken connection, and what it had sent with a COMMIT is unknown.
 */
import type { Clock } from "../../clock/index.ts";
import type { NodePool } from "./pool.ts";
import { type Patience, patienceDefaultMs } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";

/** Runs `run` with a session of the pool. @throws what `NodePool.use` does, and what `run` does */
export type UseSession = <T>(run: (session: PgSession) => Promise<T>, patience?: Patience) => Promise<T>;

/** @param answerMsMax how long one user may take once it has a session, in milliseconds; default 10_000 */
export function boundedSessions(
  pool: NodePool,
  clock: Clock,
  answerMsMax: number = patienceDefaultMs,
): UseSession {
  return (run, patience) =>
    pool.use(async (session) => {
      session.limitStatements(patienceDefaultMs);
      const timer = clock.timer(answerMsMax, () => session.destroy());
      try {
        return await run(session);
      } finally {
        timer.cancel();
      }
    }, patience);
}

/**
 * One node's part of a transaction across nodes: begun, prepared, and finished either way.
 */
import type { HoldfastError, LogPosition } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { notPreparedError, slotsFullError } from "./cross-shard-error.ts";
import type { PlacedShard, ShardLeases } from "./cross-shard-leases.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { NodePool } from "./pool.ts";
import type { Patience } from "./pool-lease.ts";
import { checkPrimary } from "./read-position.ts";
import { insertPosition, insertPositionStatement } from "./routing-position.ts";
import type { PgSession } from "./session.ts";
import { isServerError, sqlStateOf } from "./session-error.ts";
import { askWithin } from "./session-watch.ts";

export interface NodePart {
  readonly node: string;
  readonly shards: readonly PlacedShard[];
  readonly pool: NodePool;
  readonly session: PgSession;
  leases: ShardLeases | undefined;
  /** Its name once PREPARE was sent. */
  gid: string | undefined;
  /** Where the log was right behind its commit, once that is confirmed. */
  committed: LogPosition | undefined;
}

/**
 * PREPARE TRANSACTION: from here on the part is on the disks of the node's quorum, and survives its server.
 *
 * @throws {HoldfastError} not applied. Where that is a guess the part may be prepared nevertheless: nobody will
 *   decide for it, so recovery takes it back.
 */
export async function prepare({ session, leases }: NodePart, gid: string): Promise<void> {
  let cutShort = false;
  session.onNotice = ({ routine }) => {
    if (routine === "SyncRepWaitForLSN") cutShort = true;
  };
  try {
    const { command } = await session.send({ text: `prepare transaction '${gid}'` });
    // A transaction that a statement has doomed is rolled back instead, and that is no error.
    if (command !== "PREPARE") throw leases?.failure ?? notPreparedError(session.where, undefined);
    if (cutShort) throw notPreparedError(session.where, new Error("the wait for a standby was cancelled"));
  } catch (error) {
    const cause = (error as HoldfastError).cause;
    if (sqlStateOf(error) === "53200") throw slotsFullError(session.where, error);
    if (error === leases?.failure || isServerError(cause)) throw error;
    throw notPreparedError(session.where, error);
  } finally {
    session.onNotice = undefined;
  }
}

/**
 * How a part ended. `elsewhere`: recovery was faster. `pending`: nobody knows, so that recovery will see to it.
 */
export type Finished =
  | { readonly kind: "done"; readonly position: LogPosition | undefined }
  | { readonly kind: "elsewhere" | "pending" };

export type Verb = "commit" | "rollback";

export interface FinishContext {
  readonly nodes: DatabaseNodes;
  readonly clock: Clock;
  readonly patience: Patience;
}

/** COMMIT PREPARED or ROLLBACK PREPARED on the part's own session, or on another when that one has ended. */
export async function finishPart(part: NodePart, verb: Verb, context: FinishContext): Promise<Finished> {
  const { nodes, clock, patience } = context;
  const { pool, session, gid } = part;
  if (gid === undefined) return { kind: "elsewhere" };
  const onSession = (one: PgSession) =>
    askWithin(one, patience, clock, (it) => finishPrepared(it, verb, gid));
  if (!session.ended && session.transactionStatus === "I") {
    const finished = await onSession(session).catch(() => undefined);
    if (finished) return finished;
  }
  try {
    return await pool.use(async (fresh) => {
      await checkPrimary(pool, fresh, undefined, nodes);
      return onSession(fresh);
    }, patience);
  } catch {
    return { kind: "pending" };
  }
}

/** @throws {HoldfastError} when there is no answer, or the server cannot do it now */
export async function finishPrepared(session: PgSession, verb: Verb, gid: string): Promise<Finished> {
  let cutShort = false;
  session.onNotice = ({ routine }) => {
    if (routine === "SyncRepWaitForLSN") cutShort = true;
  };
  try {
    const finished = session.send({ text: `${verb} prepared '${gid.replaceAll("'", "''")}'` });
    const asked = session.push(insertPositionStatement);
    await finished;
    const { rows } = await asked;
    return cutShort
      ? { kind: "pending" }
      : { kind: "done", position: insertPosition(session.facts, rows[0]) };
  } catch (error) {
    // There is none of that name: somebody else has finished it, the same way.
    if (sqlStateOf(error) === "42704") return { kind: "elsewhere" };
    throw error;
  } finally {
    session.onNotice = undefined;
  }
}

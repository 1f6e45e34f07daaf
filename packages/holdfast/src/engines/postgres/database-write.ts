/**
 * A write: one READ WRITE transaction on one shard, tried again for as long as it certainly did not happen.
 *
 * On the wire, with nothing to wait for: BEGIN (with the schema), the proof and the first statement leave together; then
 * each statement as the caller awaits it; then COMMIT and the question for the log position. An insert is two
 * round trips.
 *
 * | what went wrong                                  | then                                                  |
 * |--------------------------------------------------|-------------------------------------------------------|
 * | before COMMIT was sent, and it may pass           | again, with full jitter, while patience lasts         |
 * | before COMMIT was sent, and it would not pass      | the error, not applied                                |
 * | the caller gave up before COMMIT                  | cancel, close the connection; not applied             |
 * | COMMIT without an answer                          | settle by the proof: applied, or again                |
 * | it cannot be settled while patience lasts         | HOLDFAST_OUTCOME_UNKNOWN                              |
 * | no deadline, and the server is silent for a minute | the connection is closed; then as if it had broken    |
 */
import type { Transaction } from "kysely";
import {
  type Call,
  type HoldfastError,
  type LogPosition,
  mayRetryAfter,
  type Undone,
} from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import { fullJitterMs } from "../../resilience/index.ts";
import { commit } from "./commit.ts";
import type { CommitProof, ProofMaker } from "./commit-proof.ts";
import { endedByUserError, lostCommitError, rolledBackError, unknownError } from "./database-write-error.ts";
import { isOwnAnswer, type KyselyLease, leaseKysely } from "./kysely-lease.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { OutboxPlace, TransactionOutbox } from "./outbox/transaction-outbox.ts";
import type { NodePool } from "./pool.ts";
import { overError, type Patience, patienceOf } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";
import { checkPrimary } from "./read-position.ts";
import { askInserted } from "./routing-position.ts";
import type { PgSession } from "./session.ts";
import { sqlStateOf } from "./session-error.ts";
import { askWithin, untilOver, watchSilence } from "./session-watch.ts";
import { MovedAway, movedAway } from "./shard-moved.ts";

export interface WriteRequest<T> {
  readonly nodes: DatabaseNodes;
  readonly node: string;
  readonly schema: string;
  readonly patience: Patience;
  readonly proofs: ProofMaker<T>;
  readonly uses: StatementUse;
  readonly clock: Clock;
  /** Of a synchronous database. */
  readonly quorum: QuorumProof | undefined;
  /** Whether the call's session should learn the position of the commit. */
  readonly track: boolean;
  run(tx: Transaction<AnyTables>): Promise<T>;
  readonly undone: Undone | undefined;
  /** Gets the text of each statement; `undefined`: nobody wants it. */
  readonly told: ((text: string) => void) | undefined;
  /** What `run` works with, for each attempt anew. Default: the transaction of the one shard. */
  readonly lease?: (
    session: PgSession,
    outbox: TransactionOutbox,
  ) => Pick<KyselyLease, "tx" | "failure" | "hasRead" | "end">;
  readonly outbox: WriteOutbox;
}

/** What is published in a write, commits with it. */
export interface WriteOutbox extends OutboxPlace {
  /** For each attempt anew. */
  open(): TransactionOutbox;
  /** Told once something that was published has committed. */
  published(): void;
}

/** What it takes to settle a write, to wait for its next attempt, and to tell its session. */
export type WriteBasis = Pick<WriteRequest<unknown>, "nodes" | "node" | "patience" | "clock" | "quorum">;

/** Attempts in all; the patience usually ends first. */
export const attemptsMax = 20;
const backoff = { baseMs: 20, capMs: 1_000 } as const;

/** A position that no replica reaches: after a commit whose position got lost, only the primary will do. */
export const beyondEveryReplica = (1n << 63n) - 1n;

/** How one attempt ended. */
type Attempt<T> =
  | {
      readonly kind: "applied";
      readonly value: T;
      readonly published: boolean;
      readonly position: LogPosition | undefined;
      /** Whether it has also read: its session then never sees less than that. */
      readonly hasRead: boolean;
    }
  /**
   * `own` is the failure of the transaction itself, as opposed to whatever else `run` may have thrown. `undone`:
   * it was that other thing that ended it, and the server has rolled back.
   */
  | {
      readonly kind: "failed";
      readonly error: unknown;
      readonly own: HoldfastError | undefined;
      readonly undone?: boolean;
      /** The shard is not here any more. */
      readonly moved?: MovedAway | undefined;
    }
  | {
      readonly kind: "unsettled";
      readonly value: T;
      readonly published: boolean;
      readonly cause: unknown;
      readonly settleable: boolean;
      readonly hasRead: boolean;
    };

type Unsettled<T> = Extract<Attempt<T>, { kind: "unsettled" }>;

/** @param first number of the first attempt, from 1: what came before counts too */
export async function writeTransaction<T>(asked: WriteRequest<T>, first = 1): Promise<T> {
  let request = asked;
  for (let attempt = first; ; attempt++) {
    const proof = request.proofs();
    const ended = await tryOnce(request, proof);
    if (ended.kind === "applied") {
      if (ended.published) request.outbox.published();
      if (request.track) await track(request, ended.position, ended.hasRead);
      return ended.value;
    }
    let error: unknown;
    if (ended.kind === "unsettled") {
      // How long COMMIT took is not held against settling it.
      request = { ...request, patience: patienceOf(request.patience.call, request.clock) };
      const settled = await settle(request, proof, ended);
      if (settled === true) {
        if (ended.published) request.outbox.published();
        if (request.track) await track(request, undefined, ended.hasRead);
        return ended.value;
      }
      if (settled === "again") return await findOut(request, attempt, ended.cause);
      error = lostCommitError(poolOf(request), ended.cause);
    } else {
      error = ended.error;
      // Nothing was applied, and here it never will be: whoever routes it finds where the shard is now.
      if (ended.moved) {
        ended.moved.instead = ended.error;
        throw ended.moved;
      }
      // Refused as read-only: what takes writes was a standby, or has become one.
      if (sqlStateOf(ended.own) === "25006") poolOf(request).suspect();
      if (!mayTryAgain(ended.own)) {
        if (ended.undone) request.undone?.();
        throw error;
      }
    }
    if (attempt >= attemptsMax || !(await waited(request, attempt))) throw error;
  }
}

/**
 * Runs a write again whose last COMMIT had no answer, because that tells what became of it. Until it answers, or
 * finds that it has to call `run`, no failure of its own says that nothing was applied.
 */
async function findOut<T>(request: WriteRequest<T>, attempt: number, cause: unknown): Promise<T> {
  if (attempt >= attemptsMax || !(await waited(request, attempt))) throw unknownError(poolOf(request), cause);
  let known = false;
  const run: typeof request.run = (tx) => {
    known = true;
    return request.run(tx);
  };
  try {
    return await writeTransaction({ ...request, run }, attempt + 1);
  } catch (error) {
    // Where the shard is now knows as well: what was committed here has come along.
    if (error instanceof MovedAway && !known) throw new MovedAway(unknownError(poolOf(request), error));
    throw known ? error : unknownError(poolOf(request), error);
  }
}

/** @throws {HoldfastError} HOLDFAST_DEADLINE or HOLDFAST_ABORTED when the call is over first */
async function tryOnce<T>(request: WriteRequest<T>, proof: CommitProof<T>): Promise<Attempt<T>> {
  const { nodes, patience, schema } = request;
  const pool = poolOf(request);
  let session: PgSession;
  try {
    session = await pool.lease(patience, schema);
  } catch (error) {
    return { kind: "failed", error, own: error as HoldfastError };
  }
  try {
    await checkPrimary(pool, session, patience.call?.session, nodes);
  } catch (error) {
    pool.release(session);
    return { kind: "failed", error, own: error as HoldfastError };
  }
  const phase = { committing: false };
  // Once COMMIT is sent it is not cancelled: one that waits for a standby would answer as if it had succeeded.
  const silence = watchSilence(session, patience, request.clock, (reason) =>
    phase.committing ? session.destroy(reason) : session.cancelAndDestroy(reason),
  );
  try {
    return await untilOver(patience.call, transact(request, session, proof, phase), () => {
      if (phase.committing) session.taint();
      else session.cancelAndDestroy();
      return overError(patience.call as Call, phase.committing ? "unknown" : "not-applied");
    });
  } finally {
    if (phase.committing && session.inFlight > 0) {
      // Silence still ends it, when there is no deadline: a server that is frozen answers nothing.
      session.onceAnswered(() => silence?.cancel());
      pool.releaseOnceAnswered(session);
    } else {
      silence?.cancel();
      pool.release(session);
    }
  }
}

async function transact<T>(
  request: WriteRequest<T>,
  session: PgSession,
  proof: CommitProof<T>,
  phase: { committing: boolean },
): Promise<Attempt<T>> {
  session.limitStatements(request.patience.call?.remainingMs() ?? Number.POSITIVE_INFINITY);
  const begun = proof.begin(session, request.schema);
  begun.catch(() => {});
  const outbox = request.outbox.open();
  const lease =
    request.lease?.(session, outbox) ??
    leaseKysely(session, request.uses, undefined, undefined, request.told, outbox.at(request.outbox));
  let value: T;
  try {
    if (!proof.eager) {
      const past = await begun;
      if (past) return await answerFromBefore(request, session, past.before);
    }
    value = await request.run(lease.tx);
    lease.end();
    // Answered long ago, unless `run` asked nothing. COMMIT is sent only when it is known to hold.
    await begun;
    if (session.transactionStatus === "I") throw endedByUserError();
    value = proof.close(session, value);
    await outbox.send(session);
  } catch (error) {
    lease.end();
    const ended = await rolledBack(session, error, lease.failure, begun);
    return { ...ended, moved: await movedAway(session, request.schema, ended.own) };
  }
  phase.committing = true;
  const verdict = await commit(session, request.track, proof.rider);
  switch (verdict.kind) {
    case "applied":
      return {
        kind: "applied",
        value,
        published: !outbox.isEmpty,
        position: verdict.position,
        hasRead: lease.hasRead,
      };
    case "not-applied": {
      if (session.transactionStatus !== "I")
        await session.send({ text: "rollback" }).catch(() => session.taint());
      session.forgetSchema();
      // A failure that `run` caught has doomed the transaction; what COMMIT says of it is only the echo.
      const refused = (await outbox.failure()) ?? (await proof.closeFailure?.());
      // "The transaction is aborted", which the rider may have met, is no reason, only its echo.
      const own = lease.failure ?? refused ?? verdict.cause;
      const moved = await movedAway(session, request.schema, own);
      return { kind: "failed", error: lease.failure ? rolledBackError(lease.failure) : own, own, moved };
    }
    case "unknown":
      return {
        kind: "unsettled",
        value,
        published: !outbox.isEmpty,
        cause: verdict.cause,
        settleable: verdict.settleable,
        hasRead: lease.hasRead,
      };
  }
}

/** Ends the transaction after a failure, and finds what the failure was. */
async function rolledBack(
  session: PgSession,
  error: unknown,
  failure: HoldfastError | undefined,
  begun: Promise<unknown>,
): Promise<Extract<Attempt<never>, { kind: "failed" }>> {
  const confirmed = await rollback(session);
  // What ran behind a BEGIN that failed says nothing; its own failure does.
  const own = await begun.then(
    () => failure,
    (reason: unknown) => reason as HoldfastError,
  );
  const thrown = failure && error === failure ? own : error;
  return { kind: "failed", error: thrown, own, undone: confirmed && isOwnAnswer(thrown, own) };
}

/** @returns whether the server says that it has undone the transaction: not when there was none, or no answer */
async function rollback(session: PgSession): Promise<boolean> {
  let undone = !session.ended;
  session.onNotice = ({ code }) => {
    // "There is no transaction in progress": SQL of the user's had ended it before.
    if (code === "25P01") undone = false;
  };
  try {
    if (undone) await session.send({ text: "rollback" });
  } catch {
    session.taint();
    undone = false;
  }
  session.onNotice = undefined;
  session.forgetSchema();
  return undone;
}

/** It had happened before: answers from then, and lets the call's session see what was written. */
async function answerFromBefore<T>(
  request: WriteRequest<T>,
  session: PgSession,
  value: T,
): Promise<Attempt<T>> {
  const ended = session.push({ text: "rollback" });
  session.forgetSchema();
  const position = request.track ? await askInserted(session) : undefined;
  await ended;
  // Whether whoever wrote it was ever told so nobody knows, nor whether the standbys have it.
  await request.quorum?.prove(request.patience).catch((error: unknown) => {
    throw unknownError(poolOf(request), error);
  });
  return { kind: "applied", value, published: false, position, hasRead: true };
}

/** Raises the call's session to the commit. Without its position, to one that is certainly behind it. */
export async function track(
  request: WriteBasis,
  position: LogPosition | undefined,
  hasRead: boolean,
): Promise<void> {
  const { nodes, node, patience, clock } = request;
  const session = patience.call?.session;
  if (!session) return;
  const ask = (asked: PgSession) => askWithin(asked, patience, clock, askInserted);
  let end = position;
  try {
    end ??= await poolOf(request).use(ask, patience);
  } catch {
    end = { ...nodes.watch(node).histories.newest, lsn: beyondEveryReplica };
  }
  session.raise(node, end, "written");
  if (hasRead) session.raise(node, end, "read");
}

function poolOf({ nodes, node }: WriteBasis): NodePool {
  return nodes.primary(node);
}

/**
 * Asks the proof until it answers.
 *
 * @returns whether the transaction has committed; `again` when running it again finds out
 * @throws {HoldfastError} HOLDFAST_OUTCOME_UNKNOWN when it cannot be known while patience lasts
 */
export async function settle(
  request: WriteBasis,
  proof: Pick<CommitProof<unknown>, "settle">,
  unsettled: Pick<Unsettled<unknown>, "settleable" | "cause">,
): Promise<boolean | "again"> {
  for (let attempt = 1; unsettled.settleable; attempt++) {
    try {
      const settled = await proof.settle(poolOf(request), request.patience);
      // There, but perhaps on the primary alone: after a crash it shows what its standbys never acknowledged.
      if (settled === true) await request.quorum?.prove(request.patience);
      if (settled === undefined) break;
      return settled;
    } catch (error) {
      if (!(await waited(request, attempt))) throw unknownError(poolOf(request), error);
    }
  }
  throw unknownError(poolOf(request), unsettled.cause);
}

/**
 * Only the transaction's own failure counts. What else `run` called and got refused says nothing about what it
 * had called before.
 */
export function mayTryAgain(own: HoldfastError | undefined): boolean {
  // A full pool was waited for already: waiting again only makes the queue longer.
  return own !== undefined && own.code !== "HOLDFAST_OVERLOADED" && mayRetryAfter(own, "no");
}

/** @returns false when patience would end first, and nothing was waited for */
export async function waited(
  { clock, patience }: Pick<WriteBasis, "clock" | "patience">,
  attempt: number,
): Promise<boolean> {
  const ms = fullJitterMs(attempt, clock.random.next(), backoff);
  if (clock.monotonicMs() + ms >= patience.untilMs) return false;
  try {
    await clock.sleep(ms, patience.call?.signal);
    return true;
  } catch {
    return false;
  }
}

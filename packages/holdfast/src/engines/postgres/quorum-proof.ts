/**
 * Proof that a primary still has its quorum of replicas: a commit that waited for it.
 *
 * A primary that was cut off answers from the past as readily as ever, while another is promoted. What it cannot do
 * is to commit: a promotion takes n − q + 1 replicas, and what they follow then, they do not acknowledge for the old
 * one. So a commit that the quorum acknowledged says that nobody had been promoted before it was begun, and that all
 * that was in the log before it is on the quorum too.
 *
 * One commit at a time proves it for all who asked before it was begun.
 */
import { HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { commit } from "./commit.ts";
import type { NodePool } from "./pool.ts";
import { type Patience, patienceDefaultMs } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";

/** A quorum that takes longer than this to acknowledge a commit counts as none, in milliseconds. */
export const proofMsMax = 2_000;

export class QuorumProof {
  readonly #clock: Clock;
  readonly #pool: NodePool;
  readonly #maySkip: boolean;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param maySkip whether a primary that was told to wait for nobody is believed without proof: it has degraded */
  constructor(pool: NodePool, clock: Clock, maySkip: boolean) {
    this.#pool = pool;
    this.#clock = clock;
    this.#maySkip = maySkip;
  }

  /**
   * Resolves when the quorum has acknowledged a commit that was begun after this was called.
   *
   * @throws {HoldfastError} HOLDFAST_UNAVAILABLE, not applied, when that does not happen soon, or patience ends
   */
  async prove({ untilMs }: Patience): Promise<void> {
    const proof = this.#begin();
    const waitMs = Math.max(0, Math.min(proofMsMax, untilMs - this.#clock.monotonicMs()));
    const late = Promise.withResolvers<void>();
    const timer = this.#clock.timer(waitMs, () => late.reject(cutOffError(this.#pool.where, waitMs)));
    try {
      await Promise.race([proof, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** A commit that is under way may have been begun too early: then the next one counts. */
  #begin(): Promise<void> {
    if (!this.#running) return this.#start();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#start());
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const running = this.#commit().finally(() => {
      this.#running = undefined;
    });
    running.catch(() => {});
    this.#running = running;
    return running;
  }

  async #commit(): Promise<void> {
    const pool = this.#pool;
    const untilMs = this.#clock.monotonicMs() + patienceDefaultMs;
    const session = await pool.lease({ untilMs, call: undefined });
    try {
      await this.#commitOn(session);
    } finally {
      pool.release(session);
    }
  }

  async #commitOn(session: PgSession): Promise<void> {
    session.push({ text: beginSql });
    const { rows } = await session.send<{ waits: boolean }>({ text: messageSql });
    if (rows[0]?.waits === false && !this.#maySkip) {
      await session.send({ text: "rollback" });
      throw notSynchronousError(session.where);
    }
    const verdict = await commit(session, false);
    if (verdict.kind !== "applied") {
      session.taint();
      throw cutOffError(session.where, undefined, verdict.cause);
    }
  }
}

/** Waits for the quorum whatever the role's default is; a stronger default stays. */
const beginSql = `begin read write; select set_config('synchronous_commit', 'on', true)
  where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')`;
/** Something to commit: a transaction that has written nothing waits for nobody. Nothing reads it. */
const messageSql = `select pg_logical_emit_message(true, 'holdfast', '') is not null
  and current_setting('synchronous_standby_names') <> '' as waits`;

function cutOffError(where: string, waitedMs?: number, cause?: unknown): HoldfastError {
  const waited = waitedMs === undefined ? "" : ` in ${Math.round(waitedMs)} ms`;
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: its quorum of replicas acknowledged nothing${waited}, so it may have been replaced and is not believed. Wait for the replicas to come back, or read at a level that a replica may answer.`,
    { data: { where }, cause },
  );
}

function notSynchronousError(where: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: the database is declared synchronous, and its server waits for nobody: synchronous_standby_names is empty. Set it, or declare the replication as it is.`,
    { data: { where } },
  );
}

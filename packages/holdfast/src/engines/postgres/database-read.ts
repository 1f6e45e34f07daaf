/**
 * A read: statements on one session that is read-only, on the first server that is there and far enough.
 *
 * No BEGIN and no COMMIT: each statement sees what is committed when it begins (READ COMMITTED), and the server
 * refuses every write, so that one statement is one round trip. When the server goes away the read starts again
 * on the next one: a read may be run twice.
 */
import type { Kysely } from "kysely";
import { type Call, HoldfastError, type Undone } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { AnyTables, ReadLevel } from "../../parts/database/port.ts";
import { isOwnAnswer, leaseKysely } from "./kysely-lease.ts";
import type { QualifiedStatements } from "./kysely-qualify.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { NodePool } from "./pool.ts";
import { overError, type Patience, patienceOf } from "./pool-lease.ts";
import { type ReadCandidate, readCandidates } from "./routing.ts";
import {
  askPosition,
  covers,
  insertPositionStatement,
  positionAt,
  replayPositionStatement,
} from "./routing-position.ts";
import { noSchema, type PgSession } from "./session.ts";
import { untilOver, watchSilence } from "./session-watch.ts";

export interface ReadRequest<T> {
  readonly nodes: DatabaseNodes;
  readonly node: string;
  readonly schema: string;
  readonly level: ReadLevel;
  readonly patience: Patience;
  readonly uses: StatementUse;
  readonly statements: QualifiedStatements;
  readonly clock: Clock;
  readonly turn: number;
  run(sql: Kysely<AnyTables>): Promise<T>;
  readonly undone: Undone | undefined;
}

/** What came of asking one server. */
type Asked<T> =
  | { readonly kind: "answered"; readonly value: T }
  /** The replica has not seen what the session has. */
  | { readonly kind: "behind" }
  /** The server is not there, or gave the read up for its own reasons: another may answer. */
  | { readonly kind: "lost"; readonly error: HoldfastError };

export async function readOnly<T>(request: ReadRequest<T>): Promise<T> {
  const { nodes, node, patience } = request;
  const primary = nodes.primary(node);
  const replicas = nodes.replicas(node);
  const token = patience.call?.session.get(node);
  const candidates = readCandidates(request.level, primary, replicas, token, request.turn);
  let lost: HoldfastError | undefined;
  let behind = false;
  for (const candidate of candidates) {
    // As patient with the next server as with the one before, unless a deadline says otherwise.
    const asked = await ask(
      lost ? { ...request, patience: patienceOf(patience.call, request.clock) } : request,
      candidate,
    );
    if (asked.kind === "answered") return asked.value;
    if (asked.kind === "behind") behind = true;
    else lost = asked.error;
  }
  if (behind) throw behindError(node, lost);
  // A pooled connection that had died unnoticed: the server may be back, so ask once more.
  if (lost?.code === "HOLDFAST_CONNECTION_LOST" || lost?.code === "HOLDFAST_SQL_RETRY") {
    const again = await ask(request, { pool: primary, token: undefined });
    if (again.kind === "answered") return again.value;
    if (again.kind === "lost") lost = again.error;
  }
  throw lost;
}

async function ask<T>(request: ReadRequest<T>, candidate: ReadCandidate): Promise<Asked<T>> {
  const { patience } = request;
  const { pool } = candidate;
  let session: PgSession;
  try {
    session = await pool.lease(patience, noSchema);
  } catch (error) {
    if (isLost(error)) return { kind: "lost", error };
    throw error;
  }
  const silence = watchSilence(session, patience, request.clock, (reason) =>
    session.cancelAndDestroy(reason),
  );
  try {
    return await untilOver(patience.call, query(request, candidate, session), () => {
      session.cancelAndDestroy();
      return overError(patience.call as Call, "not-applied");
    });
  } finally {
    silence?.cancel();
    pool.release(session);
  }
}

async function query<T>(
  request: ReadRequest<T>,
  { pool, token }: ReadCandidate,
  session: PgSession,
): Promise<Asked<T>> {
  session.limitStatements(request.patience.call?.remainingMs() ?? Number.POSITIVE_INFINITY);
  try {
    if (token && !(await isFarEnough(pool, session, token))) return { kind: "behind" };
  } catch (error) {
    return { kind: "lost", error: error as HoldfastError };
  }
  const call = request.patience.call;
  const trailer = call && trailerFor(request, pool);
  const { schema, statements } = request;
  const lease = leaseKysely(session, request.uses, { schema, statements }, trailer);
  let value: T;
  try {
    value = await request.run(lease.sql);
  } catch (error) {
    // Whatever `run` made of it: when the server went away, another one may answer.
    if (lease.failure && isLost(lease.failure)) return { kind: "lost", error: lease.failure };
    if (isOwnAnswer(error, lease.failure)) request.undone?.();
    throw error;
  } finally {
    lease.end();
  }
  try {
    await lease.placed;
    if (call && lease.trail) await raise(call, pool, session, lease.trail);
    return { kind: "answered", value };
  } catch (error) {
    return { kind: "lost", error: error as HoldfastError };
  }
}

async function isFarEnough(
  pool: NodePool,
  session: PgSession,
  token: NonNullable<ReadCandidate["token"]>,
): Promise<boolean> {
  if (pool.replayed && covers(pool.replayed, token)) return true;
  const replayed = await askPosition(session);
  pool.replayed = replayed;
  return covers(replayed, token);
}

/**
 * What to ask behind each statement, so that the session knows what it has seen and never sees less again.
 * Needed only where a later read could go to a server that is behind this one: from the primary to a replica, or
 * from one replica to another. From the only replica there is nowhere further back to go.
 */
function trailerFor<T>(request: ReadRequest<T>, pool: NodePool) {
  const replicas = request.nodes.replicas(request.node).length;
  if (pool.role === "primary") return replicas > 0 ? insertPositionStatement : undefined;
  return replicas > 1 ? replayPositionStatement : undefined;
}

async function raise(
  call: Call,
  pool: NodePool,
  session: PgSession,
  trail: Promise<{ rows: readonly unknown[] }>,
): Promise<void> {
  const { rows } = await trail;
  const position = positionAt(session.facts, (rows[0] as { lsn: string }).lsn);
  if (pool.role === "replica") pool.replayed = position;
  call.session.raise(pool.node, position);
}

function isLost(error: unknown): error is HoldfastError {
  return (
    error instanceof HoldfastError &&
    (error.code === "HOLDFAST_UNAVAILABLE" ||
      error.code === "HOLDFAST_CONNECTION_LOST" ||
      // A replica cancels a query that stands in the way of replay; a stale plan goes with its session.
      error.code === "HOLDFAST_SQL_RETRY")
  );
}

function behindError(node: string, cause: HoldfastError | undefined): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `Node "${node}": the primary cannot be reached, and no replica has yet what this session has written or seen. Try again, or read at level "eventual" if older rows will do.`,
    { data: { node }, cause },
  );
}

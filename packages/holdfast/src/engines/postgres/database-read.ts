/**
 * A read: statements on one session that is read-only, on the first server that is there and far enough.
 *
 * No BEGIN and no COMMIT: each statement sees what is committed when it begins (READ COMMITTED), and the server
 * refuses every write, so that one statement is one round trip. At isolation `repeatable-read` they stand between a
 * BEGIN, which leaves with the first statement, and a COMMIT, and see one snapshot. When the server goes away the read starts again
 * on the next one: a read may be run twice.
 */
import type { Kysely } from "kysely";
import { type Call, HoldfastError, type LogPosition, type Undone } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { ResolvedRead } from "../../parts/database/index.ts";
import type { AnyTables } from "../../parts/database/port.ts";
import { endedError, isOwnAnswer, leaseKysely } from "./kysely-lease.ts";
import type { QualifiedStatements } from "./kysely-qualify.ts";
import type { StatementUse } from "./kysely-statement-use.ts";
import type { DatabaseNodes } from "./nodes.ts";
import type { NodePool } from "./pool.ts";
import { overError, type Patience, patienceOf } from "./pool-lease.ts";
import type { QuorumProof } from "./quorum-proof.ts";
import { hasReplayed, isFit, noteRead, trailerFor } from "./read-position.ts";
import { type HeldSession, holdSession } from "./read-session.ts";
import { neededPositions, readRoute } from "./routing.ts";
import { beginSql, type PgSession } from "./session.ts";
import { goneBehindError } from "./session-error.ts";
import { untilOver, watchSilence } from "./session-watch.ts";
import { movedAway } from "./shard-moved.ts";

export interface ReadRequest<T> {
  readonly nodes: DatabaseNodes;
  readonly node: string;
  readonly schema: string;
  /** What a replica has to have replayed to have the shard at all, when it has moved. */
  readonly floor: LogPosition | undefined;
  readonly read: ResolvedRead;
  readonly patience: Patience;
  /** Of a synchronous database. */
  readonly quorum: QuorumProof | undefined;
  /** Whether a later read could go to a server that is behind this one. */
  readonly tracked: boolean;
  readonly uses: StatementUse;
  readonly statements: QualifiedStatements;
  readonly clock: Clock;
  readonly turn: number;
  run(sql: Kysely<AnyTables>): Promise<T>;
  readonly undone: Undone | undefined;
  /** Gets the text of each statement; `undefined`: nobody wants it. */
  readonly told: ((text: string) => void) | undefined;
}

/** What came of asking one server. */
type Asked<T> =
  | { readonly kind: "answered"; readonly value: T }
  /** The replica has not seen what the level promises. */
  | { readonly kind: "behind" }
  /** The server is not there, or gave the read up for its own reasons: another may answer. */
  | { readonly kind: "lost"; readonly error: HoldfastError };

/**
 * @throws {HoldfastError} HOLDFAST_WRITE_LOST when a failover lost what the call's session knew; at level `strong`
 *   HOLDFAST_UNAVAILABLE when the primary cannot prove that it is the current one
 */
export async function readOnly<T>(request: ReadRequest<T>): Promise<T> {
  const { read, quorum, patience } = request;
  if (read.level !== "strong" || !quorum) return readFirst(request);
  // At the same time: a proof that is begun no earlier than the read says that nobody had been promoted by then.
  const proof = quorum.prove(patience);
  proof.catch(() => {});
  const value = await readFirst(request);
  await untilOver(patience.call, proof, () => overError(patience.call as Call, "not-applied"));
  return value;
}

/** On the first server that is there and far enough. */
async function readFirst<T>(request: ReadRequest<T>): Promise<T> {
  const { nodes, node, read, patience, clock } = request;
  const located = nodes.located(node);
  if (located) await untilOver(patience.call, located, () => overError(patience.call as Call, "not-applied"));
  const primary = nodes.primary(node);
  const behind: NodePool[] = [];
  let lost: HoldfastError | undefined;
  const askNext = async (pool: NodePool): Promise<Asked<T>> => {
    // As patient with the next server as with the one before, unless a deadline says otherwise.
    const asked = await ask(
      lost ? { ...request, patience: patienceOf(patience.call, clock) } : request,
      pool,
    );
    if (asked.kind === "behind") behind.push(pool);
    if (asked.kind === "lost") lost = asked.error;
    return asked;
  };
  const replicas = await replicasFor(request);
  const needed = neededFor(request);
  const route = readRoute(read.level, replicas, needed, request.turn);
  for (const pool of route.replicas) {
    const asked = await askNext(pool);
    if (asked.kind === "answered") return asked.value;
  }
  const reached = await waitForReplay(request, behind);
  for (const pool of [...(reached ? [reached] : []), primary, ...route.avoided]) {
    const asked = await askNext(pool);
    if (asked.kind === "answered") return asked.value;
  }
  if (behind.length > 0 || replicas.length < nodes.replicas(node).length) throw behindError(request, lost);
  // A pooled connection that had died unnoticed: the server may be back, so ask once more.
  if (lost?.code === "HOLDFAST_CONNECTION_LOST" || lost?.code === "HOLDFAST_SQL_RETRY") {
    const again = await ask(request, primary);
    if (again.kind === "answered") return again.value;
    if (again.kind === "lost") lost = again.error;
  }
  throw lost;
}

/** All replicas, or those within the bound on lag. */
async function replicasFor<T>({ nodes, node, read, patience }: ReadRequest<T>): Promise<readonly NodePool[]> {
  const replicas = nodes.replicas(node);
  if (read.lagMsMax === undefined || replicas.length === 0) return replicas;
  return nodes.watch(node).lags.within(read.lagMsMax, replicas, patience);
}

/** The first of the replicas that were behind which catches up, within the read's bound and the deadline. */
function waitForReplay<T>(
  request: ReadRequest<T>,
  behind: readonly NodePool[],
): Promise<NodePool | undefined> | undefined {
  if (behind.length === 0) return undefined;
  const { nodes, node, read, patience } = request;
  const { replay, histories } = nodes.watch(node);
  const { call } = patience;
  const isThere = (pool: NodePool) => hasReplayed(pool, neededFor(request), histories);
  const waitMs = Math.min(read.waitMs, call?.remainingMs() ?? Number.POSITIVE_INFINITY);
  return replay.first(behind, isThere, waitMs, call);
}

/** What an answer must have behind it: what the level promises, and the shard itself. */
function neededFor<T>({ node, read, patience, floor }: ReadRequest<T>): readonly LogPosition[] {
  const needed = neededPositions(read.level, patience.call?.session.get(node));
  return floor ? [...needed, floor] : needed;
}

async function ask<T>(request: ReadRequest<T>, pool: NodePool): Promise<Asked<T>> {
  const { patience } = request;
  let held: HeldSession;
  try {
    held = await holdSession(pool, patience);
  } catch (error) {
    if (isServerGone(error)) return { kind: "lost", error };
    throw error;
  }
  const silence = watchSilence(held, patience, request.clock, (reason) => held.cut(reason));
  try {
    return await untilOver(patience.call, query(request, pool, held), () => {
      held.leave();
      return overError(patience.call as Call, "not-applied");
    });
  } finally {
    silence?.cancel();
    held.release();
  }
}

async function query<T>(request: ReadRequest<T>, pool: NodePool, held: HeldSession): Promise<Asked<T>> {
  const { nodes, node, read, patience, clock } = request;
  const { call } = patience;
  const limit = (session: PgSession) =>
    session.limitStatements(call?.remainingMs() ?? Number.POSITIVE_INFINITY);
  const remembers = call !== undefined && read.level !== "eventual";
  const known = remembers ? call.session : undefined;
  const own = async () => {
    const session = await held.own();
    // Given up meanwhile: the session is others' now, and nobody waits for an answer.
    if (held.released) throw endedError();
    // The server may be another one by now.
    if (!(await isFit(pool, session, read.level, known, nodes, request.floor)))
      throw goneBehindError(pool.where);
    return session;
  };
  const isSnapshot = read.isolation === "repeatable-read";
  try {
    limit(held.session);
    if (!(await isFit(pool, held.session, read.level, known, nodes, request.floor)))
      return { kind: "behind" };
    // A transaction is nothing for a session that others use as well.
    if (isSnapshot) limit(await own());
  } catch (error) {
    if (isServerGone(error)) return { kind: "lost", error };
    throw error;
  }
  if (held.released) throw endedError();
  const before = call?.session.get(node);
  const trailer = remembers && request.tracked ? trailerFor(pool) : undefined;
  const { schema, statements } = request;
  const { session } = held;
  const snapshot = isSnapshot ? beginSnapshot(session, schema) : undefined;
  const lease = leaseKysely(
    session,
    request.uses,
    // In a transaction a statement cannot be tried one way and then another: the path says where it belongs.
    snapshot ? undefined : { schema, statements, clock, limit, own },
    trailer,
    request.told,
  );
  held.onRelease = () => lease.end();
  let value: T;
  try {
    value = await request.run(lease.sql);
  } catch (error) {
    await snapshot?.rollback();
    // Whatever `run` made of it: when the server went away, another one may answer.
    if (lease.failure && isServerGone(lease.failure)) return { kind: "lost", error: lease.failure };
    const moved = await movedAway(held.session, schema, lease.failure);
    if (moved) {
      moved.instead = error;
      throw moved;
    }
    if (isOwnAnswer(error, lease.failure)) request.undone?.();
    throw error;
  } finally {
    lease.end();
  }
  try {
    await lease.placed;
    await snapshot?.begun;
    await snapshot?.commit();
    if (call && lease.trail) noteRead(call.session, pool, held.session, lease.trail, before, nodes);
    return { kind: "answered", value };
  } catch (error) {
    return { kind: "lost", error: error as HoldfastError };
  }
}

/** Sends BEGIN ahead of the first statement, in the same packet. */
function beginSnapshot(session: PgSession, schema: string) {
  const placed = session.useSchema(schema);
  const begun = Promise.all([placed, session.push({ text: `${beginSql("repeatable-read")} read only` })]);
  begun.catch(() => {});
  return {
    /** To be awaited before an answer is believed. */
    begun,
    commit: async () => {
      // One whose failed statement the caller has caught is rolled back by the server, which answers so.
      await session.send({ text: "commit" });
    },
    rollback: async () => {
      if (session.ended) return;
      await session.send({ text: "rollback" }).catch(() => session.taint());
    },
  };
}

function isServerGone(error: unknown): error is HoldfastError {
  return (
    error instanceof HoldfastError &&
    (error.code === "HOLDFAST_UNAVAILABLE" ||
      error.code === "HOLDFAST_CONNECTION_LOST" ||
      // A replica cancels a query that stands in the way of replay; a stale plan goes with its session.
      error.code === "HOLDFAST_SQL_RETRY")
  );
}

function behindError<T>({ node, read }: ReadRequest<T>, cause: HoldfastError | undefined): HoldfastError {
  const why =
    read.lagMsMax === undefined
      ? 'no replica has yet what this session has written or seen. Try again, or read at level "eventual" if older rows will do'
      : `no replica is known to be within ${read.lagMsMax} ms of it. Try again, or allow more with lagMsMax if older rows will do`;
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `Node "${node}": the primary cannot be reached, and ${why}.`,
    { data: { node }, cause },
  );
}

/**
 * A pooler between this process and Postgres: found out, and refused unless it keeps a server for each client.
 *
 * In transaction or statement mode each transaction may run on another server process. What a session relies on is
 * then silently gone: that it is read-only unless a transaction says otherwise (a statement sent behind a BEGIN that
 * failed would commit alone), its time limit, its prepared statements, a cancel request that stops its own statement
 * and nobody else's. So such a pooler is refused rather than worked around: connections are pooled here already.
 *
 * A pooler is known by the process id that it announces: not the one of the process that answers.
 */
import pg from "pg";
import { HoldfastError } from "../../call/index.ts";
import type { PostgresEndpoint } from "./config.ts";
import { isServerError } from "./session-error.ts";

/** What has to be known of a session that comes through a pooler. */
export interface PooledSession {
  readonly endpoint: PostgresEndpoint;
  readonly ended: boolean;
  /** It is not to be given to anybody again. */
  taint(): void;
  onceEnded(tell: () => void): void;
}

export interface PooledOptions {
  readonly applicationName: string;
  readonly where: string;
  readonly connectTimeoutMs: number;
}

/** What is otherwise set at the start of a connection. */
export const pooledSettings = `set default_transaction_read_only to on;
  set idle_in_transaction_session_timeout to 60000`;

/** Which session has which server process, of all that come through poolers, in this Node process. */
const backends = new Map<string, PooledSession>();

/**
 * Notes that `session` has the server process `backend`. Two sessions that are alive and have the same one are proof
 * that the pooler is not in session mode. So that this is noticed before anything runs, a second connection asks for
 * its own while the first one stands by: a pooler in another mode gives it the one that is free.
 *
 * @throws {HoldfastError} HOLDFAST_POOLER
 */
export async function claimBackend(
  session: PooledSession,
  system: string,
  backend: number,
  options: PooledOptions,
): Promise<number> {
  const key = `${system} ${backend}`;
  const holder = backends.get(key);
  if (holder && holder !== session && !holder.ended) {
    holder.taint();
    throw poolerError(options.where, "shared");
  }
  backends.set(key, session);
  session.onceEnded(() => {
    if (backends.get(key) === session) backends.delete(key);
  });
  if ((await backendOfAnother(session, options)) === backend) throw poolerError(options.where, "shared");
  return backend;
}

/** `undefined` when the pooler has no second server to give: that says nothing. */
async function backendOfAnother(session: PooledSession, options: PooledOptions): Promise<number | undefined> {
  const { host, port, database, user, password } = session.endpoint;
  const client = new pg.Client({
    host,
    port,
    database,
    user,
    password,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs,
    query_timeout: options.connectTimeoutMs,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ backend: number }>("select pg_backend_pid() as backend");
    return rows[0]?.backend;
  } catch {
    return undefined;
  } finally {
    void client.end().catch(() => {});
  }
}

/**
 * SQL for the beginning of a transaction through a pooler: fails it when it does not run on `backend`, whatever was
 * declared.
 */
export function onBackendSql(backend: number): string {
  return `select 1 / (pg_backend_pid() = ${Number(backend)})::int`;
}

/** Whether a failure of BEGIN is that of `onBackendSql`: division by zero. */
export function isOnOtherBackend(error: unknown): boolean {
  return error instanceof HoldfastError && error.data.sqlstate === "22012";
}

/** PgBouncer's word for a setting that it cannot carry. */
export function refusedByPooler(error: unknown): boolean {
  return (
    isServerError(error) && error.code === "08P01" && /unsupported startup parameter/.test(error.message)
  );
}

export function poolerError(where: string, why: "undeclared" | "shared"): HoldfastError {
  const found =
    why === "undeclared"
      ? "a pooler stands between this process and Postgres, and the endpoint does not say so"
      : 'the pooler is declared to keep a server for each client (pooler: "session"), and does not: it is in transaction or statement mode';
  return new HoldfastError(
    "HOLDFAST_POOLER",
    `${where}: ${found}. Nothing was sent. Connect to Postgres directly: connections are pooled here already, see poolSize. Or set the pooler to session mode (PgBouncer: pool_mode = session) and declare pooler: "session" at the endpoint.`,
    { data: { where, why } },
  );
}

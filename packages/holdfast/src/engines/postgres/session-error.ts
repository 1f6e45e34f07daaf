/**
 * From what the driver throws to a Holdfast error: a code to match on, the SQLSTATE and the constraint as
 * data, and whether the statement may have taken effect.
 *
 * Everything here is about a statement *before* COMMIT was sent: a server that reports an error, or loses the
 * connection, rolls such a transaction back. What COMMIT itself answers is judged in `commit.ts`.
 */
import { type ErrorCode, HoldfastError } from "../../call/index.ts";

/** The fields of a Postgres ErrorResponse that decide anything; `pg` puts them on its error. */
export interface ServerError {
  readonly code: string;
  readonly severity?: string;
  readonly message: string;
  readonly constraint?: string;
  readonly table?: string;
  readonly schema?: string;
  readonly column?: string;
  readonly position?: string;
  readonly routine?: string;
}

/** Whether `error` came from the Postgres server as an ErrorResponse, as opposed to from the socket. */
export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    "severity" in error &&
    "code" in error &&
    /^[0-9A-Z]{5}$/.test(String(error.code))
  );
}

/** The SQLSTATE behind `error`, looking through the errors it was wrapped in. */
export function sqlStateOf(error: unknown): string | undefined {
  if (isServerError(error)) return error.code;
  if (!(error instanceof Error)) return undefined;
  if (error instanceof HoldfastError && typeof error.data.sqlstate === "string") return error.data.sqlstate;
  return error.cause === undefined ? undefined : sqlStateOf(error.cause);
}

/**
 * The server ends the session, is starting or is going down: FATAL, or the classes that mean it.
 * 57P01 admin_shutdown, 57P02 crash_shutdown, 57P03 cannot_connect_now, 25P03 idle_in_transaction timeout.
 */
export function endsSession(error: ServerError): boolean {
  return (
    error.severity === "FATAL" ||
    error.severity === "PANIC" ||
    (/^57P0[1-5]$/.test(error.code) && error.code !== "57P04") ||
    error.code === "25P03"
  );
}

/** A prepared plan of a table that was altered since: the statement is fine, the connection's plan is not. */
export function isStalePlan(error: ServerError): boolean {
  return (
    (error.code === "0A000" && error.routine === "RevalidateCachedQuery") ||
    // A name that the server no longer knows, after DISCARD or DEALLOCATE in user SQL.
    error.code === "26000"
  );
}

/**
 * The server cannot read or write its own files: its disk, or its directory, is gone. It has to be replaced, and the
 * statement is not to blame. 58030 io_error; 58P01 undefined_file, where it is the storage manager's and not one that
 * the statement named.
 */
function isStorageGone(error: ServerError): boolean {
  return error.code === "58030" || (error.code === "58P01" && /^_?md/.test(error.routine ?? ""));
}

/** A marker's partition is of one day of the server's, and this process took it for another: around midnight. */
function isOfAnotherDay({ code, schema, table }: ServerError): boolean {
  return code === "23514" && schema === "holdfast" && table?.startsWith("marker_") === true;
}

/** What the session knows (its prepared statements, its server's clock) does not hold any more. */
export function outdatesSession(error: ServerError): boolean {
  return error.code === "0A000" || error.code === "26000" || isOfAnotherDay(error);
}

function codeOf(error: ServerError): ErrorCode {
  // Insufficient resources: connections, memory, disk. It may pass, but not by trying harder.
  if (error.code.startsWith("53")) return "HOLDFAST_OVERLOADED";
  // Before COMMIT an ended session means a rolled back transaction: certainly not applied.
  if (endsSession(error) || isStorageGone(error)) return "HOLDFAST_UNAVAILABLE";
  if (error.code.startsWith("40") || error.code === "55P03" || isStalePlan(error) || isOfAnotherDay(error))
    return "HOLDFAST_SQL_RETRY";
  if (error.code.startsWith("23")) return "HOLDFAST_SQL_CONFLICT";
  // Raised by the fence of a shard that is handed over to another node.
  if (error.code === "HF001") return "HOLDFAST_SHARD_MOVED";
  if (error.code === "42501") return "HOLDFAST_SQL_PERMISSION";
  return "HOLDFAST_SQL_ERROR";
}

/** @param where the endpoint, for the message: `links/node-1 primary` */
export function statementError(error: unknown, where: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (!isServerError(error)) return connectionLostError(error, where);
  const code = codeOf(error);
  const data: Record<string, unknown> = { sqlstate: error.code };
  if (error.constraint) data.constraint = error.constraint;
  if (error.schema) data.schema = error.schema;
  if (error.table) data.table = error.table;
  if (error.column) data.column = error.column;
  if (error.position) data.position = Number(error.position);
  return new HoldfastError(
    code,
    `${where}: ${error.message} (SQLSTATE ${error.code}). ${remedies[code] ?? ""}`,
    {
      outcome: "not-applied",
      data,
      cause: error,
    },
  );
}

const remedies: { readonly [code in ErrorCode]?: string } = {
  HOLDFAST_OVERLOADED: "Nothing was committed; the server has no connection, memory or disk left.",
  HOLDFAST_UNAVAILABLE: "Nothing was committed; try again when the server is back.",
  HOLDFAST_SQL_RETRY: "Nothing was committed; the transaction can be run again.",
  HOLDFAST_SQL_CONFLICT: "Nothing was committed; data.constraint names what refused it.",
  HOLDFAST_SQL_PERMISSION:
    "Nothing was committed; the role that this program connects with may not do it. Grant it, or connect with another role.",
  HOLDFAST_SQL_ERROR: "Nothing was committed; correct the statement.",
  HOLDFAST_SHARD_MOVED:
    "Nothing was committed; run it again in a moment. If the move has stopped half-way, `holdfast reshard` goes on with it.",
};

/** The socket broke, before COMMIT was sent: the server rolls back. */
export function connectionLostError(cause: unknown, where: string): HoldfastError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HoldfastError(
    "HOLDFAST_CONNECTION_LOST",
    `${where}: the connection broke (${why}) before COMMIT was sent, so nothing was committed. It can be run again.`,
    { outcome: "not-applied", cause },
  );
}

/** The server answered nothing for too long, and its connection was closed before COMMIT was sent. */
export function silentError(where: string, silentMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: the server answered nothing for ${Math.round(silentMs / 1_000)} s, so its connection was closed; nothing was committed. Check that it runs; a statement that takes this long needs a call with a longer deadline.`,
    { data: { where, silentMs } },
  );
}

/** What is configured as a primary is a standby: demoted, or the address is wrong. */
export function standbyError(where: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: the server is a standby and takes no writes. Wait for its promotion, or correct the address of the primary.`,
  );
}

/** What was a standby when its connection was opened has been promoted since. */
export function promotedError(where: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: the server is a standby no more, so nobody knows from it how far replication is. Its connections are opened anew.`,
  );
}

/** A second connection of one read has met a server that is behind the first's. */
export function goneBehindError(where: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_UNAVAILABLE",
    `${where}: another server answers there than a moment ago, and it is behind. Another one is asked.`,
  );
}

/** A connection could not be opened, so nothing was sent. */
export function connectError(error: unknown, where: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  // Of the database, by its role: nobody is away, and trying again does not help.
  if (isServerError(error) && error.code === "42501") {
    return new HoldfastError(
      "HOLDFAST_SQL_PERMISSION",
      `${where}: the role that this program connects with may not connect there (${error.message}). Give it access, or connect with another role.`,
      { data: { sqlstate: error.code }, cause: error },
    );
  }
  const tooMany = isServerError(error) && error.code === "53300";
  const why =
    error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error);
  return new HoldfastError(
    tooMany ? "HOLDFAST_OVERLOADED" : "HOLDFAST_UNAVAILABLE",
    tooMany
      ? `${where}: the server has no connection left. Lower the pools' sizes or raise max_connections.`
      : `${where}: cannot connect (${why}). Check that the server runs and that its address and password are right.`,
    {
      outcome: "not-applied",
      cause: error,
      ...(isServerError(error) ? { data: { sqlstate: error.code } } : {}),
    },
  );
}

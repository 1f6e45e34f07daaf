/**
 * COMMIT, and what its answer means.
 *
 * The moment COMMIT is sent is the border between "rolled back whatever happens" and "perhaps". Beyond it only
 * the server's word counts: success, an error that it reports while the session lives on, or nothing.
 */
import type { HoldfastError, LogPosition } from "../../call/index.ts";
import { insertPosition, insertPositionStatement } from "./routing-position.ts";
import type { PgSession, Rider, SqlResult } from "./session.ts";
import { endsSession, isServerError } from "./session-error.ts";

export type CommitVerdict =
  /** @property position where the log was right behind the COMMIT; `undefined` when it was not asked or got lost */
  | { readonly kind: "applied"; readonly position: LogPosition | undefined }
  | { readonly kind: "not-applied"; readonly cause: HoldfastError | undefined }
  /**
   * @property settleable whether a marker can settle it. Not so when the wait for a standby was cut short: the row is
   * there, but on one server only, and nobody can say whether it survives that server.
   */
  | { readonly kind: "unknown"; readonly cause: unknown; readonly settleable: boolean };

/**
 * Sends COMMIT with `rider` before it, and with `askPosition` the question for the log position behind it, all in
 * one packet. Nothing may follow COMMIT in its own message: an error of that could not be told from one of COMMIT.
 * Must be called only when everything before it was answered: then the transaction's locks are known to be held
 * until it ends, and whoever waits for them learns how it ended.
 */
export async function commit(
  session: PgSession,
  askPosition: boolean,
  rider?: Rider,
): Promise<CommitVerdict> {
  let cutShort = false;
  session.onNotice = (notice) => {
    // Not by its text, which is translated, nor by its SQLSTATE alone, which every WARNING shares.
    if (notice.routine === "SyncRepWaitForLSN") cutShort = true;
  };
  const committed = session.push({ text: rider ? `${session.riderSql(rider)}; commit` : "commit" });
  const asked = askPosition ? session.push(insertPositionStatement) : undefined;
  try {
    if (lastCommand(await committed) !== "COMMIT") return { kind: "not-applied", cause: undefined };
    if (cutShort) {
      return {
        kind: "unknown",
        cause: new Error("the wait for a synchronous standby was cancelled"),
        settleable: false,
      };
    }
  } catch (error) {
    const cause = error as HoldfastError;
    if (rider) session.forgetRiders();
    // An error that leaves the session alive came before the commit record; one that ends it may have come after.
    if (isServerError(cause.cause) && !endsSession(cause.cause)) return { kind: "not-applied", cause };
    return { kind: "unknown", cause: cause.cause ?? cause, settleable: true };
  } finally {
    session.onNotice = undefined;
  }
  return { kind: "applied", position: asked && (await positionFrom(session, asked)) };
}

/** The driver gives a list of results when the message held several statements. */
function lastCommand(answer: SqlResult<unknown> | readonly SqlResult<unknown>[]): string | undefined {
  return "command" in answer ? answer.command : answer.at(-1)?.command;
}

async function positionFrom(
  session: PgSession,
  asked: Promise<{ rows: readonly unknown[] }>,
): Promise<LogPosition | undefined> {
  try {
    const { rows } = await asked;
    return insertPosition(session.facts, rows[0]);
  } catch {
    return undefined;
  }
}

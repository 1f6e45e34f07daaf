/**
 * How a transaction that left with its COMMIT in one packet ended: applied, not applied, or unknown. The third is
 * what a broken connection leaves, and is for whoever sent it to settle.
 */
import { HoldfastError } from "../../call/index.ts";
import type { PgSession, SqlResult, Statement } from "./session.ts";
import { isServerError, sqlStateOf } from "./session-error.ts";

/** What became of a batch. `refused` carries why, and nothing was appended. */
export type AppendEnd<Answer = void> =
  | { readonly kind: "appended"; readonly answer: Answer }
  | { readonly kind: "refused"; readonly error: HoldfastError }
  | { readonly kind: "unknown"; readonly error: HoldfastError };

/**
 * Sends statements and COMMIT at once, behind a BEGIN that was pushed, and judges what came back.
 *
 * @param what in the plural, for messages, such as `messages`
 * @returns the answers of the statements, when they were committed. Never rejects.
 */
export async function commitWith(
  session: PgSession,
  statements: readonly Statement[],
  what: string,
): Promise<AppendEnd<readonly SqlResult<unknown>[]>> {
  const sent = statements.map((statement) => session.send<unknown>(statement));
  if (charsOf(statements) > pipelinedChars) {
    // This side may refuse what is too large, and then COMMIT would keep the rest: so it waits for the answers.
    const answers = await Promise.allSettled(sent);
    const failed = answers.find((answer) => answer.status === "rejected");
    if (failed) {
      session.push({ text: "rollback" });
      session.taint();
      const { reason } = failed;
      const isFinal =
        sqlStateOf(reason) !== undefined || (reason instanceof HoldfastError && reason.permanent);
      return { kind: "refused", error: isFinal ? (reason as HoldfastError) : rolledBack(reason, what) };
    }
  }
  const commit = session.send({ text: "commit" });
  const [committed, ...answers] = await Promise.allSettled([commit, ...sent]);
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed && sqlStateOf(failed.reason) !== undefined) {
    // The server itself refused a statement, so the COMMIT behind it was a rollback, or never ran.
    return { kind: "refused", error: failed.reason as HoldfastError };
  }
  if (committed.status === "rejected") {
    session.taint();
    return { kind: "unknown", error: unknownCommit(committed.reason, what) };
  }
  if (failed || committed.value.command !== "COMMIT") {
    return { kind: "refused", error: rolledBack(failed?.reason, what) };
  }
  const answer = answers.map((one) => (one as PromiseFulfilledResult<SqlResult<unknown>>).value);
  return { kind: "appended", answer };
}

/** More than this is answered before COMMIT is sent; far below what a statement may have. */
const pipelinedChars = 1 << 20;

function charsOf(statements: readonly Statement[]): number {
  const chars = (value: unknown): number =>
    typeof value === "string"
      ? value.length
      : Array.isArray(value)
        ? value.reduce((sum: number, one) => sum + chars(one), 0)
        : 0;
  return statements.reduce((sum, { values = [] }) => sum + chars(values), 0);
}

function rolledBack(cause: unknown, what: string): HoldfastError {
  const message = `The transaction was rolled back; no ${what} were stored.`;
  return new HoldfastError("HOLDFAST_SQL_RETRY", message, { cause });
}

function unknownCommit(cause: unknown, what: string): HoldfastError {
  const reason = cause instanceof HoldfastError ? (cause.cause ?? cause) : cause;
  const why = isServerError(reason) || reason instanceof Error ? reason.message : String(reason);
  return new HoldfastError(
    "HOLDFAST_OUTCOME_UNKNOWN",
    `The connection broke while ${what} were being committed (${why}), and the primary did not come back in time to say whether they were. Send them again only if whoever gets them recognises duplicates.`,
    { outcome: "unknown", cause },
  );
}

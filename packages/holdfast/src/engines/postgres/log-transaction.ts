/** A short transaction in one round trip: BEGIN, statements and COMMIT leave in one packet. */
import type { PgSession, SqlResult, Statement } from "./session.ts";

/**
 * Behind BEGIN READ WRITE: has COMMIT wait for the disk also where the server's or the role's default is not to.
 * A stronger default, which waits for standbys too, stays.
 */
export const flushed =
  "select set_config('synchronous_commit', 'local', true) where current_setting('synchronous_commit') = 'off'";

/**
 * @param settings further SQL behind BEGIN READ WRITE, such as `set local …`
 * @returns the answer of each statement
 * @throws {HoldfastError} the first failure; when it is the COMMIT's, the transaction may have been applied,
 *   so what is sent here has to be safe to repeat
 */
export async function writeAtOnce<Rows extends readonly unknown[]>(
  session: PgSession,
  statements: { readonly [index in keyof Rows]: Statement },
  settings = "",
): Promise<{ [index in keyof Rows]: SqlResult<Rows[index]> }> {
  const begun = session.send({ text: `begin read write; ${settings}` });
  const sent = (statements as readonly Statement[]).map((statement) => session.send(statement));
  const answers = await Promise.allSettled([begun, ...sent, session.send({ text: "commit" })]);
  for (const answer of answers) {
    if (answer.status === "fulfilled") continue;
    session.taint();
    throw answer.reason;
  }
  const results = answers.map((answer) => (answer as PromiseFulfilledResult<SqlResult<unknown>>).value);
  return results.slice(1, -1) as { [index in keyof Rows]: SqlResult<Rows[index]> };
}

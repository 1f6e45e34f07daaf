/** What a write says of itself when its COMMIT, or somebody else's, decided how it ended. */
import { HoldfastError } from "../../call/index.ts";
import type { NodePool } from "./pool.ts";

export function unknownError(pool: NodePool, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_OUTCOME_UNKNOWN",
    `${pool.where}: COMMIT had no answer, and whether it was applied could not be settled in time. Read its effect back, or retry with the same idempotency key.`,
    { cause },
  );
}

export function lostCommitError(pool: NodePool, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_CONNECTION_LOST",
    `${pool.where}: the connection broke at COMMIT; the marker says that nothing was committed. It can be run again.`,
    { outcome: "not-applied", cause },
  );
}

export function rolledBackError(failure: HoldfastError): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_SQL_ERROR",
    `A statement of the transaction failed and was caught, so Postgres rolled everything back: ${failure.message} Let the error pass, or put a savepoint before the statement.`,
    { outcome: "not-applied", cause: failure, data: failure.data },
  );
}

export function endedByUserError(): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_TX_CONTROL",
    "The transaction was ended by a statement inside it, so nobody can say what was committed. Return to commit, throw to roll back.",
    { outcome: "unknown" },
  );
}

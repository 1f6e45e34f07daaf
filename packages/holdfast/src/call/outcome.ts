/**
 * How a call ended.
 *
 * - `applied`: it took effect.
 * - `not-applied`: it certainly did not; doing it again is safe.
 * - `unknown`: nobody can say (a timeout after sending, a reset, a COMMIT without an answer). Doing it again
 *   is safe only if the operation is idempotent: by nature, by key, or by fencing token.
 *
 * The three are Jepsen's ok, fail and info.
 */
export type Outcome = "applied" | "not-applied" | "unknown";

/**
 * Errors that say how the call ended, and the one table that decides whether it may be tried again.
 *
 *   node examples/errors.ts
 */
import {
  escapedError,
  HoldfastError,
  type Idempotence,
  mayRetry,
  mayRetryAfter,
  outcomeOf,
} from "holdfast/call";

const how: readonly Idempotence[] = ["nature", "key", "fencing-token", "no"];
console.log("may it be tried again?        ", how.join("  "));
for (const outcome of ["applied", "not-applied", "unknown"] as const) {
  for (const permanent of [false, true]) {
    const row = how.map((idempotent) =>
      (mayRetry(outcome, permanent, idempotent) ? "yes" : "-").padEnd(idempotent.length),
    );
    console.log(`${outcome}, ${permanent ? "permanent" : "transient"}`.padEnd(30), row.join("  "));
  }
}

const full = new HoldfastError("HOLDFAST_OVERLOADED", "The pool is full. Try again after a wait.", {
  data: { retryAfterMs: 100 },
});
console.log(`\n${full.code}: ${full.outcome}, try again: ${mayRetryAfter(full, "no")}`);

// Service A wrote something, then called B, which refused. B's "not applied" is true of B, and false of A.
const seenByCaller = escapedError(full);
console.log(`escaped a handler: ${seenByCaller.outcome}, try again: ${mayRetryAfter(seenByCaller, "no")}`);
console.log(`any other error: ${outcomeOf(new TypeError("oops"))}`);

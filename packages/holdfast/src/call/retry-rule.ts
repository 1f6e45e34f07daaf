/**
 * When an operation that failed may be tried again: the one table for the whole framework. Retries, hedges,
 * the gateway and the consumers of topics all ask it; none has a rule of its own.
 *
 * The table says what is safe. Whether there is time, budget and a reason to hope is for `resilience/retry`.
 *
 * @see RFC 9110, section 9.2.2
 */
import { isPermanent, outcomeOf } from "./holdfast-error.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Why doing the operation twice is doing it once.
 *
 * - `nature`: a read, or a write of a whole value.
 * - `key`: the callee remembers the idempotency key.
 * - `fencing-token`: the store refuses the second one.
 * - `no`: it is not.
 */
export type Idempotence = "nature" | "key" | "fencing-token" | "no";

type Row = Readonly<Record<Idempotence, boolean>>;
const always: Row = { nature: true, key: true, "fencing-token": true, no: true };
const ifIdempotent: Row = { nature: true, key: true, "fencing-token": true, no: false };
const never: Row = { nature: false, key: false, "fencing-token": false, no: false };

/** outcome → whether the same call would fail the same way → idempotence → may be tried again */
export const retryRule: Readonly<Record<Outcome, { readonly transient: Row; readonly permanent: Row }>> = {
  applied: { transient: never, permanent: never },
  "not-applied": { transient: always, permanent: never },
  unknown: { transient: ifIdempotent, permanent: never },
};

export function mayRetry(outcome: Outcome, permanent: boolean, idempotent: Idempotence): boolean {
  return retryRule[outcome][permanent ? "permanent" : "transient"][idempotent];
}

/** The rule for an operation that failed with `error`; what Holdfast did not throw is unknown and transient. */
export function mayRetryAfter(error: unknown, idempotent: Idempotence): boolean {
  return mayRetry(outcomeOf(error), isPermanent(error), idempotent);
}

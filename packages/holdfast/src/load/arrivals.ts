/**
 * When requests arrive: independent of how the system keeps up, as users do. A client that waits for an answer
 * before it asks again slows down with the system, and so hides what the others would have waited.
 */
import type { Random } from "../clock/index.ts";

/** `poisson`: independent users, bursts included. `uniform`: evenly spaced. */
export type ArrivalKind = "poisson" | "uniform";

/** @returns gives, at each call, the milliseconds between one arrival and the next */
export function arrivalGaps(kind: ArrivalKind, ratePerSecond: number, random: Random): () => number {
  if (!(ratePerSecond > 0 && Number.isFinite(ratePerSecond)))
    throw new RangeError(`a rate should be a positive number of requests a second, got ${ratePerSecond}`);
  const meanMs = 1_000 / ratePerSecond;
  if (kind === "uniform") return () => meanMs;
  return () => -Math.log(1 - random.next()) * meanMs;
}

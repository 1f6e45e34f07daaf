/**
 * Tails: rare slow answers become common when one page needs many of them, and a second copy of a slow request
 * (hedging) cuts them off at a small price.
 *
 * @see J. Dean and L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013
 */
import { checkShare, quantileOf } from "./mmc.ts";
import { Conditions, type Modelled } from "./model.ts";

/**
 * Share of pages that meet at least one slow answer among `calls`: 1 − (1 − p)ⁿ.
 *
 * Holds for answers that are slow independently; when they are slow together (one busy disk behind all), it is an
 * upper bound.
 */
export function tailAmplification(slowShare: number, calls: number): Modelled<{ readonly share: number }> {
  const missed = new Conditions().share("slowShare", slowShare).notNegative("calls", calls).missed();
  if (missed) return missed;
  if (calls === 0) return { holds: true, share: 0 };
  return { holds: true, share: -Math.expm1(calls * Math.log1p(-slowShare)) };
}

/** Share of single answers that may be slow so that at most `slowPages` of pages with `calls` answers are. */
export function slowShareAllowed(slowPages: number, calls: number): Modelled<{ readonly share: number }> {
  const missed = new Conditions().share("slowPages", slowPages).positive("calls", calls).missed();
  if (missed) return missed;
  return { holds: true, share: -Math.expm1(Math.log1p(-slowPages) / calls) };
}

/** How latencies are spread: the share of answers that take longer than `ms`. Falls from 1 towards 0. */
export type SlowerThan = (ms: number) => number;

export interface HedgeInput {
  readonly slowerThan: SlowerThan;
  /** A second copy is sent when there is no answer after this long, in milliseconds. */
  readonly afterMs: number;
}

export interface Hedge {
  /** Extra requests for each request. */
  readonly addedLoad: number;
  readonly slowerThan: SlowerThan;
  readonly msAt: (share: number) => number;
}

/**
 * The first answer of two: P(T > t) = P(T₁ > t) · P(T₂ > t − after).
 *
 * Holds for copies whose latencies are independent (another replica, another queue) and while the added load does
 * not slow the servers down.
 */
export function hedge({ slowerThan, afterMs }: HedgeInput): Modelled<Hedge> {
  const addedLoad = slowerThan(afterMs);
  const missed = new Conditions()
    .notNegative("afterMs", afterMs)
    .share("slowerThan(afterMs)", addedLoad)
    .missed();
  if (missed) return missed;
  const hedged: SlowerThan = (ms) => slowerThan(ms) * (ms > afterMs ? slowerThan(ms - afterMs) : 1);
  return {
    holds: true,
    addedLoad,
    slowerThan: hedged,
    msAt: (share) => {
      checkShare(share);
      return quantileOf(hedged, share);
    },
  };
}

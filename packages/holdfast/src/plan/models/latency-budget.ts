/**
 * A latency budget: hops one after the other, each with its median and 99th percentile, each perhaps called several
 * times, and what they come to together beside an objective.
 *
 * Means and variances of independent hops add up exactly; the percentiles of the sum are those of the lognormal law
 * with that mean and variance (Fenton's approximation: within a few percent at p99 for hops with p99 up to ten times
 * the median). The slowest of n calls at once is exact for independent calls. Percentiles themselves do not add up:
 * the sum of all p99 is usually too much, and for a hop that everything waits for, too little.
 *
 * @see L. F. Fenton, "The Sum of Log-Normal Probability Distributions in Scatter Transmission Systems", IRE
 *   Transactions on Communications Systems 8(1), 1960
 */
import { type LatencyLaw, latencyLaw, lawOfMoments } from "./latency-law.ts";
import { quantileOf } from "./mmc.ts";
import { Conditions, type Modelled } from "./model.ts";

export interface Hop {
  readonly name: string;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Calls of this hop, 1 or more. Default 1. */
  readonly calls?: number;
  /** Whether several calls go at once (the slowest counts) or one after the other. Default `at-once`. */
  readonly order?: "at-once" | "one-by-one";
}

export interface HopShare {
  readonly name: string;
  readonly meanMs: number;
  readonly p99Ms: number;
  /** Share of the mean of the whole. */
  readonly share: number;
}

export interface LatencyBudget {
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly hops: readonly HopShare[];
  /** What is left of the objective at p99, in milliseconds; negative when it is missed. */
  readonly leftMs: number;
  /** The law of the whole: for hedging, or as a hop of something larger. */
  readonly law: LatencyLaw;
}

const callsMax = 1_000_000;

export function latencyBudget(objectiveP99Ms: number, hops: readonly Hop[]): Modelled<LatencyBudget> {
  const conditions = new Conditions()
    .positive("objectiveP99Ms", objectiveP99Ms)
    .require(hops.length > 0, "hops are none: a call goes somewhere");
  for (const { name, medianMs, p99Ms, calls = 1 } of hops) {
    conditions
      .whole(`calls of ${name}`, calls, 1, callsMax)
      .positive(`medianMs of ${name}`, medianMs)
      .positive(`p99Ms of ${name}`, p99Ms)
      .require(!(p99Ms < medianMs), `p99Ms ${p99Ms} of ${name} should not be below its medianMs ${medianMs}`);
  }
  const missed = conditions.missed();
  if (missed) return missed;
  const laws = hops.map(lawOfHop);
  const meanMs = laws.reduce((sum, law) => sum + law.meanMs, 0);
  const varianceMs2 = laws.reduce((sum, law) => sum + law.varianceMs2, 0);
  const [only] = laws;
  const law = laws.length === 1 && only ? only : lawOfMoments(meanMs, varianceMs2);
  const p99Ms = law.msAt(0.99);
  return {
    holds: true,
    meanMs,
    p50Ms: law.msAt(0.5),
    p99Ms,
    hops: hops.map(({ name }, index) => {
      const one = laws[index] as LatencyLaw;
      return { name, meanMs: one.meanMs, p99Ms: one.msAt(0.99), share: one.meanMs / meanMs };
    }),
    leftMs: objectiveP99Ms - p99Ms,
    law,
  };
}

function lawOfHop({ medianMs, p99Ms, calls = 1, order = "at-once" }: Hop): LatencyLaw {
  const one = latencyLaw(medianMs, p99Ms) as LatencyLaw & { readonly holds: true };
  if (calls === 1) return one;
  if (order === "one-by-one") return lawOfMoments(one.meanMs * calls, one.varianceMs2 * calls);
  return slowestOf(one, calls);
}

/** The slowest of n alike: F(t)ⁿ, with its moments from percentiles evenly spaced (midpoints). */
function slowestOf(one: LatencyLaw, calls: number): LatencyLaw {
  const slowerThan = (ms: number) => -Math.expm1(calls * Math.log1p(-one.slowerThan(ms)));
  const msAt = (share: number) => quantileOf(slowerThan, share);
  const steps = 400;
  const values = Array.from({ length: steps }, (_, step) => one.msAt(((step + 0.5) / steps) ** (1 / calls)));
  const meanMs = values.reduce((sum, value) => sum + value, 0) / steps;
  const varianceMs2 = values.reduce((sum, value) => sum + (value - meanMs) ** 2, 0) / steps;
  return { meanMs, varianceMs2, slowerThan, msAt };
}

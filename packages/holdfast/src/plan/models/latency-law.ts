/**
 * A latency as a lognormal law, given by its median and its 99th percentile: most answers near the median, a tail to
 * the right. It is how single hops look when nothing is known but two percentiles; it has no second hump, so a garbage
 * collector or a failover that stops everything has to be told apart.
 *
 * @see N. L. Johnson, S. Kotz and N. Balakrishnan, "Continuous Univariate Distributions, Volume 1", 1994, chapter 14
 */
import { checkShare } from "./mmc.ts";
import { Conditions, type Modelled } from "./model.ts";
import type { SlowerThan } from "./tail.ts";

export interface LatencyLaw {
  readonly meanMs: number;
  readonly varianceMs2: number;
  readonly slowerThan: SlowerThan;
  readonly msAt: (share: number) => number;
}

/** 99th percentile of the standard normal law. */
const z99 = 2.326347874040841;

export function latencyLaw(medianMs: number, p99Ms: number): Modelled<LatencyLaw> {
  const missed = new Conditions()
    .positive("medianMs", medianMs)
    .positive("p99Ms", p99Ms)
    .require(!(p99Ms < medianMs), `p99Ms ${p99Ms} should not be below medianMs ${medianMs}`)
    .missed();
  if (missed) return missed;
  return { holds: true, ...lognormal(Math.log(medianMs), Math.log(p99Ms / medianMs) / z99) };
}

/** The law with a mean and a variance. */
export function lawOfMoments(meanMs: number, varianceMs2: number): LatencyLaw {
  const sigma2 = Math.log1p(varianceMs2 / meanMs ** 2);
  return lognormal(Math.log(meanMs) - sigma2 / 2, Math.sqrt(sigma2));
}

function lognormal(mu: number, sigma: number): LatencyLaw {
  const meanMs = Math.exp(mu + sigma ** 2 / 2);
  return {
    meanMs,
    varianceMs2: Math.expm1(sigma ** 2) * meanMs ** 2,
    slowerThan: (ms) => {
      if (!(ms > 0)) return 1;
      if (sigma === 0) return Math.log(ms) < mu ? 1 : 0;
      return normalAbove((Math.log(ms) - mu) / sigma);
    },
    msAt: (share) => {
      checkShare(share);
      return share === 0 ? 0 : Math.exp(mu + sigma * normalQuantile(share));
    },
  };
}

/** P(Z > x): by the series within 6 of the middle, by a continued fraction in the tails. */
export function normalAbove(x: number): number {
  if (x < 0) return 1 - normalAbove(-x);
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x > 4) {
    let fraction = x;
    for (let k = 60; k >= 1; k--) fraction = x + k / fraction;
    return density / fraction;
  }
  let sum = x;
  let term = x;
  for (let n = 3; Math.abs(term) > 1e-17 * Math.abs(sum); n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 - density * sum;
}

/** The x that a standard normal value is below with this probability, by bisection. */
export function normalQuantile(share: number): number {
  let [low, high] = [-40, 40];
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (normalAbove(middle) > 1 - share) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * Fork-join: a call is split into branches, and is done when the slowest of them is.
 *
 * @see R. Nelson and A. N. Tantawi, "Approximate Analysis of Fork/Join Synchronization in Parallel Queues", IEEE
 *   Transactions on Computers 37(6), 1988; L. Flatto and S. Hahn, SIAM J. Appl. Math. 44(5), 1984 (two branches, exact)
 */
import { checkShare, overloaded } from "./mmc.ts";
import { Conditions, doesNotHold, type Modelled } from "./model.ts";

const branchesMax = 10_000_000;

/** 1 + 1/2 + … + 1/n. */
export function harmonic(n: number): number {
  let sum = 0;
  for (let k = n; k >= 1; k--) sum += 1 / k;
  return sum;
}

export interface SlowestOf {
  readonly meanMs: number;
  /** Time that a share of the calls do not exceed. */
  readonly msAt: (share: number) => number;
}

/** The slowest of `branches` independent exponential times. Exact: mean · H(n), and F(t)ⁿ for its percentiles. */
export function slowestOfExponential(branches: number, meanMs: number): Modelled<SlowestOf> {
  const missed = new Conditions()
    .whole("branches", branches, 1, branchesMax)
    .positive("meanMs", meanMs)
    .missed();
  if (missed) return missed;
  return {
    holds: true,
    meanMs: meanMs * harmonic(branches),
    msAt: (share) => {
      checkShare(share);
      // 1 - share^(1/n), without losing digits when n is large.
      return -meanMs * Math.log(-Math.expm1(Math.log(share) / branches));
    },
  };
}

export interface ForkJoinInput {
  readonly arrivalsPerSecond: number;
  /** Mean time of one branch, exponential, in milliseconds. */
  readonly serviceMs: number;
  /** Queues, each with its own server; every call puts one branch in each. */
  readonly branches: number;
}

export interface ForkJoin {
  readonly utilisation: number;
  readonly meanResponseMs: number;
  /** One and two branches are exact; up to 32 the published error is below 5 %. */
  readonly exact: boolean;
}

/** Branches up to which the authors compared their formula with simulation. */
export const forkJoinBranchesMax = 32;

/** Mean response when every branch waits in a queue of its own: exact for 1 and 2, Nelson and Tantawi's formula to 32. */
export function forkJoin({ arrivalsPerSecond, serviceMs, branches }: ForkJoinInput): Modelled<ForkJoin> {
  const missed = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("serviceMs", serviceMs)
    .whole("branches", branches, 1, branchesMax)
    .require(
      !(branches > forkJoinBranchesMax),
      `branches are ${branches}: the approximation was compared with simulation up to ${forkJoinBranchesMax} only; slowestOfExponential gives a lower bound`,
    )
    .missed();
  if (missed) return missed;
  const utilisation = (arrivalsPerSecond * serviceMs) / 1_000;
  if (!(utilisation < 1)) return doesNotHold(overloaded(utilisation));
  const one = serviceMs / (1 - utilisation);
  if (branches === 1) return { holds: true, utilisation, meanResponseMs: one, exact: true };
  const two = ((12 - utilisation) / 8) * one;
  const growth = harmonic(branches) / harmonic(2);
  const meanResponseMs = (growth + (4 / 11) * (1 - growth) * utilisation) * two;
  return { holds: true, utilisation, meanResponseMs, exact: branches === 2 };
}

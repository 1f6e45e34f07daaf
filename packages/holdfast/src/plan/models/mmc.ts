/**
 * M/M/c: independent arrivals (Poisson), exponential service times, `servers` alike that take from one queue in
 * order. The first model for instances behind a balancer, workers on a queue, connections of a pool.
 *
 * Holds for utilisation below 1 in the long run. Exact where its assumptions are; real service times vary less than
 * exponential ones as a rule, so its waits are usually on the safe side, and balancers without a common queue
 * (random, round robin) wait longer than it says.
 *
 * @see A. K. Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in Automatic
 *   Telephone Exchanges", 1917; L. Kleinrock, "Queueing Systems, Volume 1", 1975, section 3.5
 */
import { Conditions, doesNotHold, type Modelled } from "./model.ts";

export interface MmcInput {
  readonly arrivalsPerSecond: number;
  /** Mean time that one call keeps one server busy, in milliseconds. */
  readonly serviceMs: number;
  readonly servers: number;
}

export interface Mmc {
  /** Share of the time that a server is busy. */
  readonly utilisation: number;
  /** Probability that an arrival has to wait: Erlang's C. */
  readonly waitProbability: number;
  readonly meanWaitMs: number;
  readonly meanResponseMs: number;
  /** Calls that wait, and calls that are there at all, on average. */
  readonly meanWaiting: number;
  readonly meanInSystem: number;
  /** Wait that a share of the calls do not exceed, in milliseconds. @param share from 0 to below 1, such as 0.99 */
  readonly waitMsAt: (share: number) => number;
  /** Wait and service together that a share of the calls do not exceed, in milliseconds. */
  readonly responseMsAt: (share: number) => number;
}

/** Beyond it the recursion takes too long to be asked for by mistake. */
export const serversMax = 10_000_000;

export function mmc({ arrivalsPerSecond, serviceMs, servers }: MmcInput): Modelled<Mmc> {
  const missed = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("serviceMs", serviceMs)
    .whole("servers", servers, 1, serversMax)
    .missed();
  if (missed) return missed;
  const offered = (arrivalsPerSecond * serviceMs) / 1_000;
  const utilisation = offered / servers;
  if (!(utilisation < 1)) return doesNotHold(overloaded(utilisation));
  const waitProbability = erlangC(servers, offered);
  // Both in milliseconds: of those who wait, the wait is exponential with this mean.
  const meanWaitOfWaitingMs = serviceMs / (servers - offered);
  const meanWaitMs = waitProbability * meanWaitOfWaitingMs;
  const arrivalsPerMs = arrivalsPerSecond / 1_000;
  return {
    holds: true,
    utilisation,
    waitProbability,
    meanWaitMs,
    meanResponseMs: meanWaitMs + serviceMs,
    meanWaiting: arrivalsPerMs * meanWaitMs,
    meanInSystem: arrivalsPerMs * (meanWaitMs + serviceMs),
    waitMsAt: (share) => {
      checkShare(share);
      if (1 - share >= waitProbability) return 0;
      return meanWaitOfWaitingMs * Math.log(waitProbability / (1 - share));
    },
    responseMsAt: (share) => {
      checkShare(share);
      return quantileOf((ms) => slowerThan(ms, waitProbability, serviceMs, meanWaitOfWaitingMs), share);
    },
  };
}

/** Why there is no answer for a queue that more comes to than goes from. */
export function overloaded(utilisation: number): string {
  return `utilisation is ${Number(utilisation.toPrecision(4))}: at 1 or above the queue grows without end, and no wait is its mean`;
}

/**
 * Probability that all servers are busy and an arrival is turned away: Erlang's B, by the recursion in the number of
 * servers, which neither overflows nor loses digits.
 */
export function erlangB(servers: number, offered: number): number {
  let blocked = 1;
  for (let n = 1; n <= servers; n++) blocked = (offered * blocked) / (n + offered * blocked);
  return blocked;
}

/** Probability that an arrival has to wait. @param offered mean number of busy servers, below `servers` */
export function erlangC(servers: number, offered: number): number {
  return waitFromBlocked(erlangB(servers, offered), servers, offered);
}

/** Erlang's C from his B of the same servers. */
export function waitFromBlocked(blocked: number, servers: number, offered: number): number {
  return blocked / (1 - (offered / servers) * (1 - blocked));
}

/** P(response > ms): service alone for those who do not wait, wait plus service for the others. */
function slowerThan(ms: number, waits: number, serviceMs: number, waitMs: number): number {
  const service = Math.exp(-ms / serviceMs);
  const apart = Math.abs(serviceMs - waitMs);
  const both =
    apart < 1e-9 * serviceMs
      ? (1 + ms / serviceMs) * service
      : (serviceMs * service - waitMs * Math.exp(-ms / waitMs)) / (serviceMs - waitMs);
  return (1 - waits) * service + waits * both;
}

/** The smallest time that at most a share of `1 - share` exceeds, by bisection of a tail that falls. */
export function quantileOf(slower: (ms: number) => number, share: number): number {
  let high = 1;
  while (slower(high) > 1 - share && high < Number.MAX_VALUE / 4) high *= 2;
  let low = 0;
  for (let step = 0; step < 200 && high - low > 1e-12 * high; step++) {
    const middle = (low + high) / 2;
    if (slower(middle) > 1 - share) low = middle;
    else high = middle;
  }
  return high;
}

export function checkShare(share: number): void {
  if (!(share >= 0 && share < 1))
    throw new RangeError(`a share should be from 0 to below 1, such as 0.99, got ${share}`);
}

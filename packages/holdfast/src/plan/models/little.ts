/**
 * Little's law, L = λ · W: what is in a system on average is what arrives times how long it stays. It holds for every
 * system that is stable in the long run, whatever its distributions; and it says how many servers, connections or
 * places are needed.
 *
 * @see J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9(3), 1961; S. Halfin and W.
 *   Whitt, "Heavy-Traffic Limits for Queues with Many Exponential Servers", Operations Research 29(3), 1981
 */
import { normalAbove } from "./latency-law.ts";
import { serversMax, waitFromBlocked } from "./mmc.ts";
import { Conditions, doesNotHold, type Modelled } from "./model.ts";

/** Calls, connections or messages that are there on average. */
export function inSystem(arrivalsPerSecond: number, stayMs: number): Modelled<{ readonly count: number }> {
  const missed = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .notNegative("stayMs", stayMs)
    .missed();
  return missed ?? { holds: true, count: (arrivalsPerSecond * stayMs) / 1_000 };
}

export interface ServersInput {
  readonly arrivalsPerSecond: number;
  readonly serviceMs: number;
  /** Highest utilisation wanted: what is left is the headroom. Above 0, below 1. */
  readonly utilisationMax: number;
  /** A wait that a share of the calls should not exceed, as M/M/c gives it. Default: utilisation alone decides. */
  readonly wait?: { readonly ms: number; readonly share: number };
}

export interface Servers {
  readonly servers: number;
  readonly utilisation: number;
  /** Probability that a call waits, by M/M/c. */
  readonly waitProbability: number;
  /** What decided the number. */
  readonly limitedBy: "utilisation" | "wait";
}

/** The smallest number of servers whose utilisation and wait are as wanted. More load never needs fewer. */
export function serversFor(input: ServersInput): Modelled<Servers> {
  const { arrivalsPerSecond, serviceMs, utilisationMax, wait } = input;
  const conditions = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("serviceMs", serviceMs)
    .require(
      utilisationMax > 0 && utilisationMax < 1,
      `utilisationMax should be above 0 and below 1, got ${utilisationMax}`,
    );
  if (wait) {
    conditions
      .notNegative("wait.ms", wait.ms)
      .require(
        wait.share > 0 && wait.share < 1,
        `wait.share should be above 0 and below 1, got ${wait.share}`,
      );
  }
  const missed = conditions.missed();
  if (missed) return missed;
  const offered = (arrivalsPerSecond * serviceMs) / 1_000;
  // A hair below the next whole number is that number: 0.7 has no exact double.
  const byUtilisation = Math.max(1, Math.ceil(offered / utilisationMax - 1e-9));
  if (byUtilisation > serversMax)
    return doesNotHold(`${byUtilisation} servers are needed, and the model counts up to ${serversMax}`);
  const waitMet = (servers: number, waits: number) =>
    !wait || waits * Math.exp((-wait.ms * (servers - offered)) / serviceMs) <= 1 - wait.share;
  let blocked = 1;
  for (let servers = 1; servers <= serversMax; servers++) {
    blocked = (offered * blocked) / (servers + offered * blocked);
    if (servers < byUtilisation) continue;
    const waitProbability = waitFromBlocked(blocked, servers, offered);
    if (!waitMet(servers, waitProbability)) continue;
    const limitedBy = servers > byUtilisation ? "wait" : "utilisation";
    return { holds: true, servers, utilisation: offered / servers, waitProbability, limitedBy };
  }
  return doesNotHold(`no number of servers up to ${serversMax} keeps the wait`);
}

/**
 * Servers by the square-root rule, ⌈a + β√a⌉ for an offered load of a: a cross-check of `serversFor`, near it when
 * there are many. β follows from the probability of waiting that is wanted (Halfin and Whitt).
 */
export function squareRootStaffing(
  offered: number,
  waitProbability: number,
): Modelled<{ readonly servers: number; readonly beta: number }> {
  const missed = new Conditions()
    .positive("offered", offered)
    .require(
      waitProbability > 0 && waitProbability < 1,
      `waitProbability should be above 0 and below 1, got ${waitProbability}`,
    )
    .missed();
  if (missed) return missed;
  let low = 0;
  let high = 40;
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (halfinWhitt(middle) > waitProbability) low = middle;
    else high = middle;
  }
  return { holds: true, beta: high, servers: Math.ceil(offered + high * Math.sqrt(offered)) };
}

/** Probability of waiting when there are a + β√a servers, for large a: [1 + β Φ(β)/φ(β)]⁻¹. */
export function halfinWhitt(beta: number): number {
  const density = Math.exp((-beta * beta) / 2) / Math.sqrt(2 * Math.PI);
  return 1 / (1 + (beta * (1 - normalAbove(beta))) / density);
}

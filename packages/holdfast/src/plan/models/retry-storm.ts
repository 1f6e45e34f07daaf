/**
 * Retry storms: when everything fails, every call is tried 1 + retries times, and what was enough capacity is not any
 * more. Above capacity ÷ (1 + retries) a short outage can keep a system down for good, although the load that caused
 * it is gone: a metastable failure.
 *
 * Holds for retries that nothing limits. A budget (a share of the successes) bounds the extra load instead, and with
 * it the threshold.
 *
 * @see N. Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021; L. Huang et al., "Metastable
 *   Failures in the Wild", OSDI 2022
 */
import { Conditions, type Modelled } from "./model.ts";

export interface RetryStormInput {
  /** Calls a second that the callee can take. */
  readonly capacityPerSecond: number;
  /** Calls a second that are wanted, first attempts only. */
  readonly arrivalsPerSecond: number;
  /** Attempts after the first. */
  readonly retries: number;
  /** Extra attempts for each success, when a budget limits them: 0.2 is a fifth. Default: no limit. */
  readonly budget?: number;
}

export interface RetryStorm {
  /** Load up to which the system recovers by itself, in calls a second. */
  readonly thresholdPerSecond: number;
  /** What comes when everybody tries everything, in calls a second. */
  readonly offeredPerSecond: number;
  /** `recovers`: whatever happens. `may-stay-down`: well until something fails. `overloaded`: already too much. */
  readonly verdict: "recovers" | "may-stay-down" | "overloaded";
}

export function retryStorm(input: RetryStormInput): Modelled<RetryStorm> {
  const { capacityPerSecond, arrivalsPerSecond, retries, budget } = input;
  const conditions = new Conditions()
    .positive("capacityPerSecond", capacityPerSecond)
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .notNegative("retries", retries);
  if (budget !== undefined) conditions.notNegative("budget", budget);
  const missed = conditions.missed();
  if (missed) return missed;
  const attempts = 1 + Math.min(retries, budget ?? Infinity);
  const thresholdPerSecond = capacityPerSecond / attempts;
  const verdict =
    arrivalsPerSecond >= capacityPerSecond
      ? "overloaded"
      : arrivalsPerSecond < thresholdPerSecond || attempts === 1
        ? "recovers"
        : "may-stay-down";
  return { holds: true, thresholdPerSecond, offeredPerSecond: arrivalsPerSecond * attempts, verdict };
}

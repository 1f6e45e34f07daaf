/**
 * M/G/1: independent arrivals, any service times, one server. How long calls wait depends on the service times only
 * through their mean and their variance; when the server is shared by all calls at once, not even on the variance.
 *
 * Holds for utilisation below 1. The first-come model needs a finite variance: for a heavy tail without one (Pareto
 * with a shape of 2 or less) there is no mean wait, and it says so.
 *
 * @see F. Pollaczek, 1930; A. Khinchine, 1932; L. Kleinrock, "Queueing Systems, Volume 1", 1975, section 5.6, and
 *   "Volume 2", 1976, section 4.4 (processor sharing)
 */
import { overloaded } from "./mmc.ts";
import { Conditions, doesNotHold, type Modelled } from "./model.ts";

export interface Mg1Input {
  readonly arrivalsPerSecond: number;
  readonly serviceMs: number;
  /**
   * Squared coefficient of variation of the service time, variance ÷ mean²: 0 for a constant, 1 for exponential,
   * above 1 when a few calls take very long.
   */
  readonly variation: number;
}

export interface Mg1 {
  readonly utilisation: number;
  readonly meanWaitMs: number;
  readonly meanResponseMs: number;
  readonly meanWaiting: number;
}

/** First come, first served: the Pollaczek-Khinchine mean, ρ/(1 − ρ) · (1 + c²)/2 · E[S]. */
export function pollaczekKhinchine({ arrivalsPerSecond, serviceMs, variation }: Mg1Input): Modelled<Mg1> {
  const missed = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("serviceMs", serviceMs)
    .require(
      variation >= 0 && Number.isFinite(variation),
      `variation (variance ÷ mean² of the service time) should be 0 or more and finite, got ${variation}: a tail so heavy that the variance is infinite has no mean wait`,
    )
    .missed();
  if (missed) return missed;
  const utilisation = (arrivalsPerSecond * serviceMs) / 1_000;
  if (!(utilisation < 1)) return doesNotHold(overloaded(utilisation));
  const meanWaitMs = ((utilisation / (1 - utilisation)) * (1 + variation) * serviceMs) / 2;
  return {
    holds: true,
    utilisation,
    meanWaitMs,
    meanResponseMs: meanWaitMs + serviceMs,
    meanWaiting: (arrivalsPerSecond * meanWaitMs) / 1_000,
  };
}

export interface ProcessorSharing {
  readonly utilisation: number;
  readonly meanResponseMs: number;
  /** Mean response of a call that needs `ms` of service: everybody is slowed down by the same factor. */
  readonly responseMsOf: (ms: number) => number;
}

/** All calls share the server at once (one event loop, time slices): E[S]/(1 − ρ), whatever the distribution. */
export function processorSharing({
  arrivalsPerSecond,
  serviceMs,
}: Omit<Mg1Input, "variation">): Modelled<ProcessorSharing> {
  const missed = new Conditions()
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("serviceMs", serviceMs)
    .missed();
  if (missed) return missed;
  const utilisation = (arrivalsPerSecond * serviceMs) / 1_000;
  if (!(utilisation < 1)) return doesNotHold(overloaded(utilisation));
  const responseMsOf = (ms: number) => ms / (1 - utilisation);
  return { holds: true, utilisation, meanResponseMs: responseMsOf(serviceMs), responseMsOf };
}

/**
 * Draining: how long what has piled up takes to be worked off while new work keeps coming, backlog ÷ (capacity −
 * arrivals). Exact for steady rates; with rates that vary it is the mean, because what comes and goes adds up.
 */
import { Conditions, doesNotHold, type Modelled } from "./model.ts";

export interface DrainInput {
  /** Messages that wait. */
  readonly backlog: number;
  readonly arrivalsPerSecond: number;
  /** Messages a second that the consumers take. */
  readonly capacityPerSecond: number;
}

export function drainTime({
  backlog,
  arrivalsPerSecond,
  capacityPerSecond,
}: DrainInput): Modelled<{ readonly seconds: number }> {
  const missed = new Conditions()
    .notNegative("backlog", backlog)
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .positive("capacityPerSecond", capacityPerSecond)
    .missed();
  if (missed) return missed;
  if (backlog === 0) return { holds: true, seconds: 0 };
  if (!(arrivalsPerSecond < capacityPerSecond))
    return doesNotHold(
      `${arrivalsPerSecond}/s arrive and ${capacityPerSecond}/s can be taken: what waits never becomes less`,
    );
  return { holds: true, seconds: backlog / (capacityPerSecond - arrivalsPerSecond) };
}

/** What has piled up after consumers stood still, and how long after their return it is gone. */
export function drainAfterStop({
  stoppedSeconds,
  arrivalsPerSecond,
  capacityPerSecond,
}: Omit<DrainInput, "backlog"> & { readonly stoppedSeconds: number }): Modelled<{
  readonly backlog: number;
  readonly seconds: number;
}> {
  const missed = new Conditions()
    .notNegative("stoppedSeconds", stoppedSeconds)
    .notNegative("arrivalsPerSecond", arrivalsPerSecond)
    .missed();
  if (missed) return missed;
  const backlog = stoppedSeconds * arrivalsPerSecond;
  const drained = drainTime({ backlog, arrivalsPerSecond, capacityPerSecond });
  return drained.holds ? { ...drained, backlog } : drained;
}

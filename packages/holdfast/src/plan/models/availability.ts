/**
 * Availability: the share of the time that something works, of parts that need each other, stand in for each other,
 * or need a majority. Holds for failures that are independent; a common cause (one region, one bad release) makes
 * copies worth less than it says.
 *
 * @see R. E. Barlow and F. Proschan, "Statistical Theory of Reliability and Life Testing", 1975
 */
import { Conditions, type Modelled } from "./model.ts";

/** Days of a year here, leap years counted: 8,766 hours. 99.9 % allows 8.77 of them. */
export const yearDays = 365.25;

export interface Availability {
  readonly share: number;
}

/** All of them have to work: the product. */
export function inSeries(shares: readonly number[]): Modelled<Availability> {
  const missed = checkAll(shares);
  if (missed) return missed;
  return { holds: true, share: shares.reduce((product, share) => product * share, 1) };
}

/** One of them is enough: one minus the product of what is missing. */
export function inParallel(shares: readonly number[]): Modelled<Availability> {
  const missed = checkAll(shares);
  if (missed) return missed;
  return { holds: true, share: 1 - shares.reduce((product, share) => product * (1 - share), 1) };
}

/** At least `needed` of `copies` alike work: the upper part of a binomial. Quorums are `⌊n/2⌋ + 1` of n. */
export function kOfN(needed: number, copies: number, share: number): Modelled<Availability> {
  const missed = new Conditions()
    .whole("copies", copies, 1, 1_000)
    .whole("needed", needed, 0, copies)
    .share("share", share)
    .missed();
  if (missed) return missed;
  // Exactly n working, n from 0 upwards, by adding one copy at a time: no factorials.
  let working = [1];
  for (let n = 1; n <= copies; n++) {
    const before = working;
    working = Array.from(
      { length: n + 1 },
      (_, k) => (before[k] ?? 0) * (1 - share) + (before[k - 1] ?? 0) * share,
    );
  }
  return {
    holds: true,
    share: Math.min(
      1,
      working.slice(needed).reduce((sum, one) => sum + one, 0),
    ),
  };
}

export interface Downtime {
  readonly minutesPerMonth: number;
  readonly hoursPerYear: number;
}

/** What an availability leaves for failures: the error budget. A month is a twelfth of 365.25 days. */
export function downtime(share: number): Modelled<Downtime> {
  const missed = new Conditions().share("share", share).missed();
  if (missed) return missed;
  const hoursPerYear = (1 - share) * yearDays * 24;
  return { holds: true, hoursPerYear, minutesPerMonth: (hoursPerYear * 60) / 12 };
}

/** Availability from how long it works and how long repair takes, on average, in the same unit. */
export function fromRepair(betweenFailures: number, repair: number): Modelled<Availability> {
  const missed = new Conditions()
    .positive("betweenFailures", betweenFailures)
    .notNegative("repair", repair)
    .missed();
  if (missed) return missed;
  return { holds: true, share: betweenFailures / (betweenFailures + repair) };
}

function checkAll(shares: readonly number[]) {
  const conditions = new Conditions();
  for (const [index, share] of shares.entries()) conditions.share(`share ${index + 1}`, share);
  return conditions.missed();
}

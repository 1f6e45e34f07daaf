/**
 * How often a cache has what is asked for, when the items' popularity follows Zipf's law: the item of rank k is asked
 * for in proportion to 1/kˢ.
 *
 * Two answers: the ideal cache holds exactly the most popular items (nothing does better for independent requests),
 * and LRU by Che's approximation: an item is there when it was asked for within the characteristic time, the same for
 * all items. Requests are independent and popularity stands still; with trends, LRU does better than this says.
 *
 * @see L. Breslau et al., "Web Caching and Zipf-like Distributions", INFOCOM 1999; H. Che, Y. Tung and Z. Wang,
 *   "Hierarchical Web Caching Systems", IEEE JSAC 20(7), 2002; C. Fricker, P. Robert and J. Roberts, "A versatile and
 *   accurate approximation for LRU cache performance", ITC 2012
 */
import { Conditions, type Modelled } from "./model.ts";

export interface ZipfPopularity {
  /** Different items that are asked for. */
  readonly items: number;
  /** Zipf's exponent: 0 is all alike, about 1 for web pages. */
  readonly exponent: number;
}

/** Share of the requests for the `held` most popular items. */
export function idealHitRatio(
  popularity: ZipfPopularity,
  held: number,
): Modelled<{ readonly hitRatio: number }> {
  const missed = checked(popularity).notNegative("held", held).missed();
  if (missed) return missed;
  const { items, exponent } = popularity;
  const within = Math.min(Math.floor(held), items);
  if (within >= items) return { holds: true, hitRatio: 1 };
  return { holds: true, hitRatio: zipfWeight(within, exponent) / zipfWeight(items, exponent) };
}

/** The fewest items that an ideal cache has to hold for a hit ratio. */
export function itemsForHitRatio(
  popularity: ZipfPopularity,
  hitRatio: number,
): Modelled<{ readonly held: number }> {
  const missed = checked(popularity).share("hitRatio", hitRatio).missed();
  if (missed) return missed;
  const { items, exponent } = popularity;
  const wanted = hitRatio * zipfWeight(items, exponent);
  // A hair of rounding does not need another item.
  const enough = (held: number) => zipfWeight(held, exponent) >= wanted * (1 - 1e-12);
  return { holds: true, held: hitRatio >= 1 ? items : smallest(items, enough) };
}

/** Hit ratio of an LRU cache of `held` items, by Che's approximation. */
export function lruHitRatio(
  popularity: ZipfPopularity,
  held: number,
): Modelled<{ readonly hitRatio: number; readonly characteristicRequests: number }> {
  const missed = checked(popularity).notNegative("held", held).missed();
  if (missed) return missed;
  const { items, exponent } = popularity;
  if (held >= items) return { holds: true, hitRatio: 1, characteristicRequests: Infinity };
  if (held < 1) return { holds: true, hitRatio: 0, characteristicRequests: 0 };
  const total = zipfWeight(items, exponent);
  const occupied = (requests: number) =>
    sumOverRanks(items, (rank) => -Math.expm1((-requests * rank ** -exponent) / total));
  let low = 0;
  let high = held;
  while (occupied(high) < held && high < requestsMax) high *= 2;
  for (let step = 0; step < 100 && high - low > 1e-10 * high; step++) {
    const middle = (low + high) / 2;
    if (occupied(middle) < held) low = middle;
    else high = middle;
  }
  const hits = sumOverRanks(items, (rank) => {
    const share = rank ** -exponent / total;
    return -share * Math.expm1(-high * share);
  });
  return { holds: true, hitRatio: Math.min(1, hits), characteristicRequests: high };
}

/** The fewest items that an LRU cache has to hold for a hit ratio, by Che's approximation. */
export function lruItemsForHitRatio(
  popularity: ZipfPopularity,
  hitRatio: number,
): Modelled<{ readonly held: number }> {
  const missed = checked(popularity).share("hitRatio", hitRatio).missed();
  if (missed) return missed;
  const { items, exponent } = popularity;
  if (hitRatio >= 1) return { holds: true, held: items };
  const total = zipfWeight(items, exponent);
  const hitsAt = (requests: number) =>
    sumOverRanks(items, (rank) => {
      const share = rank ** -exponent / total;
      return -share * Math.expm1(-requests * share);
    });
  // One search for the characteristic time: what it keeps is the size.
  let low = 0;
  let high = 1;
  while (hitsAt(high) < hitRatio && high < requestsMax) high *= 2;
  for (let step = 0; step < 100 && high - low > 1e-10 * high; step++) {
    const middle = (low + high) / 2;
    if (hitsAt(middle) < hitRatio) low = middle;
    else high = middle;
  }
  const kept = sumOverRanks(items, (rank) => -Math.expm1((-high * rank ** -exponent) / total));
  return { holds: true, held: Math.min(items, Math.ceil(kept - 1e-6)) };
}

/** Share of all requests that go to the most popular item: what one node has to bear of it. */
export function hottestShare(popularity: ZipfPopularity): Modelled<{ readonly share: number }> {
  const missed = checked(popularity).missed();
  if (missed) return missed;
  return { holds: true, share: 1 / zipfWeight(popularity.items, popularity.exponent) };
}

/** A time in which everything was asked for: sums over ranks may be a hair below what they should reach. */
const requestsMax = 1e300;

const firstRanks = 100;

/** 1 + 2⁻ˢ + … + n⁻ˢ: term by term for small n, beyond it by Euler and Maclaurin, whose error is below 1e-13. */
export function zipfWeight(n: number, exponent: number): number {
  const a = Math.min(n, firstRanks);
  let sum = 0;
  for (let k = a; k >= 1; k--) sum += k ** -exponent;
  if (n <= a) return sum;
  const logRatio = Math.log(n / a);
  const rest = (1 - exponent) * logRatio;
  const integral =
    a ** (1 - exponent) * (Math.abs(rest) < 1e-12 ? logRatio : Math.expm1(rest) / (1 - exponent));
  // The ends' values, first and third derivatives, with Bernoulli's numbers.
  const between = (order: number) => n ** -(exponent + order) - a ** -(exponent + order);
  const s3 = exponent * (exponent + 1) * (exponent + 2);
  return sum + integral + between(0) / 2 - (exponent * between(1)) / 12 + (s3 * between(3)) / 720;
}

const exactRanks = 1_000;

/** A smooth function summed over all ranks: the first ones exactly, the others by Simpson's rule in steps that grow. */
function sumOverRanks(items: number, f: (rank: number) => number): number {
  const last = Math.min(items, exactRanks);
  let sum = 0;
  for (let rank = last; rank >= 1; rank--) sum += f(rank);
  if (items <= exactRanks) return sum;
  // The sum over k of f(k) from a + 1 to b is the integral from a + 1/2 to b + 1/2, nearly (midpoint rule).
  const from = Math.log(exactRanks + 0.5);
  const steps = 400;
  const width = (Math.log(items + 0.5) - from) / steps;
  let integral = 0;
  for (let step = 0; step <= steps; step++) {
    const rank = Math.exp(from + step * width);
    const weight = step === 0 || step === steps ? 1 : step % 2 === 1 ? 4 : 2;
    integral += weight * f(rank) * rank;
  }
  return sum + (integral * width) / 3;
}

/** The smallest whole number from 0 to `max` for which it is enough, when everything above is as well. */
function smallest(max: number, enough: (n: number) => boolean): number {
  let low = 0;
  let high = max;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (enough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function checked({ items, exponent }: ZipfPopularity): Conditions {
  return new Conditions()
    .whole("items", items, 1, Number.MAX_SAFE_INTEGER)
    .require(exponent >= 0 && exponent <= 10, `exponent should be from 0 to 10, got ${exponent}`);
}

/**
 * Zipf's law: rank k is drawn with a probability proportional to 1 / k^exponent. Real keys are like that: a few
 * are asked for all the time, most hardly ever.
 *
 * Rejection-inversion: constant time and no table, whatever the number of ranks.
 *
 * @see W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
 *   distributions", ACM TOMACS 6(3), 1996; the stable formulas are those of Apache Commons RNG
 */
import type { Random } from "../clock/index.ts";

/**
 * @param count number of ranks, 1 or more
 * @param exponent 0 (all alike) or more; about 1 for web pages
 * @returns draws ranks from 0 (the most frequent) to `count - 1`
 */
export function zipf(count: number, exponent: number): (random: Random) => number {
  if (!(Number.isSafeInteger(count) && count >= 1))
    throw new RangeError(`zipf needs a whole number of ranks of at least 1, got ${count}`);
  if (!(exponent >= 0 && Number.isFinite(exponent)))
    throw new RangeError(`zipf's exponent should be 0 or more, got ${exponent}`);

  const density = (x: number) => Math.exp(-exponent * Math.log(x));
  const integral = (x: number) => {
    const logX = Math.log(x);
    return expm1Over((1 - exponent) * logX) * logX;
  };
  const inverse = (y: number) => Math.exp(log1pOver(Math.max(-1, y * (1 - exponent))) * y);

  const low = integral(1.5) - 1;
  const high = integral(count + 0.5);
  const accept = 2 - inverse(integral(2.5) - density(2));
  return (random) => {
    for (;;) {
      const y = high + random.next() * (low - high);
      const x = inverse(y);
      const rank = Math.min(count, Math.max(1, Math.floor(x + 0.5)));
      if (rank - x <= accept || y >= integral(rank + 0.5) - density(rank)) return rank - 1;
    }
  };
}

/** expm1(x) / x, which is 1 at 0. */
function expm1Over(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + (x / 2) * (1 + x / 3);
}

/** log1p(x) / x, which is 1 at 0. */
function log1pOver(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x * (1 / 2 - x / 3);
}

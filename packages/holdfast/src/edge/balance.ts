/**
 * The power of two choices: of two instances drawn at random, the one with fewer requests under way.
 *
 * Almost as even as asking all of them, and without the herd that runs to whichever was last seen idle.
 *
 * @see M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001
 */
import { type Random, randomInt } from "../clock/index.ts";

export interface Loaded {
  readonly inFlight: number;
}

/** @returns `undefined` when there is nothing to choose from */
export function chooseOfTwo<Candidate extends Loaded>(
  candidates: readonly Candidate[],
  random: Random,
): Candidate | undefined {
  const { length } = candidates;
  if (length < 2) return candidates[0];
  const first = randomInt(random, length);
  // Drawn from the others, so that the two are never the same.
  const second = (first + 1 + randomInt(random, length - 1)) % length;
  const a = candidates[first] as Candidate;
  const b = candidates[second] as Candidate;
  return b.inFlight < a.inFlight ? b : a;
}

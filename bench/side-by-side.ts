/**
 * Runs candidates in turns, round after round, so that a busy spell of the machine hits all of them alike; the
 * first round warms up and does not count. The figure is the median of the others.
 */
import { systemClock } from "holdfast/clock";
import { median } from "./bench.ts";

export interface Rounds {
  /** Rounds that count, 1 or more. */
  readonly rounds: number;
  /** Operations of one candidate in one round. */
  readonly operations: number;
}

/** @returns nanoseconds per operation of each candidate */
export async function nanosecondsEach<Name extends string>(
  { rounds, operations }: Rounds,
  candidates: Readonly<Record<Name, (operations: number) => unknown>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(candidates) as Name[];
  const taken = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const startMs = systemClock.monotonicMs();
      await candidates[name](operations);
      const ns = ((systemClock.monotonicMs() - startMs) * 1e6) / operations;
      if (round > 0) taken.get(name)?.push(ns);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(taken.get(name) ?? [])])) as Record<
    Name,
    number
  >;
}

/** Operations a second, from nanoseconds each. */
export function perSecond(nanoseconds: number): number {
  return 1e9 / nanoseconds;
}

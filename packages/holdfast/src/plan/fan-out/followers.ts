/**
 * How followers are spread over accounts: the account of rank r has `max / r^s` of them, with the exponent that
 * gives the mean. Both ends are what people know of a network (the mean, and its best known account); the law in
 * between is what measured follower graphs look like.
 *
 * @see H. Kwak et al., "What is Twitter, a Social Network or a News Media?", WWW 2010
 */
import { zipfWeight } from "../models/zipf-cache.ts";

export interface FollowerLaw {
  readonly accounts: number;
  readonly mean: number;
  readonly max: number;
  readonly exponent: number;
  /** Accounts with more than `count` followers. */
  above(count: number): number;
  /** Share of all "follows" that lead to those accounts. */
  shareAbove(count: number): number;
}

/** @returns `undefined` where no power law has this mean and this maximum */
export function followerLaw(accounts: number, mean: number, max: number): FollowerLaw | undefined {
  if (!(accounts >= 1 && mean >= 1 && max >= mean && max <= accounts)) return undefined;
  const total = accounts * mean;
  const sumTo = (rank: number, exponent: number) => max * zipfWeight(Math.round(rank), exponent);
  // The sum falls with the exponent: everybody alike at 0, one account alone far up.
  let [low, high] = [0, 10];
  if (sumTo(accounts, high) > total) return undefined;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (sumTo(accounts, middle) > total) low = middle;
    else high = middle;
  }
  const exponent = (low + high) / 2;
  const above = (count: number) =>
    count >= max
      ? 0
      : Math.min(accounts, exponent < 1e-9 ? accounts : (max / Math.max(count, 1e-300)) ** (1 / exponent));
  return {
    accounts,
    mean,
    max,
    exponent,
    above,
    shareAbove: (count) => {
      const rank = above(count);
      return rank === 0 ? 0 : Math.min(1, sumTo(Math.max(1, rank), exponent) / total);
    },
  };
}

/**
 * Three ways to bring a post to its followers, in figures: write it to each of them (push), let each reader collect
 * from everybody followed (pull), or push for most accounts and pull for those with too many followers (hybrid).
 *
 * The threshold is not chosen: it is the largest delivery that what is left of the writers at the peak still
 * finishes in time.
 */
import type { FollowerLaw } from "./followers.ts";

export interface FanOutInput {
  readonly law: FollowerLaw;
  /** Posts and reads a second at the peak. */
  readonly postsPerSecond: number;
  readonly readsPerSecond: number;
  /** Deliveries a second that the store's nodes can take beside what they take anyway. */
  readonly spareWritesPerSecond: number;
  readonly deliveredWithinMs: number;
}

export interface FanOutWay {
  readonly way: "push" | "pull" | "hybrid";
  /** Writes and reads of the store a second. */
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  /** Until the last follower of the largest pushed account has it, in milliseconds. */
  readonly slowestDeliveryMs: number;
  /** Lists that one read merges. */
  readonly listsPerRead: number;
  /** Reads that meet at least one list in its slowest hundredth: 1 − 0.99ⁿ. */
  readonly slowReads: number;
  readonly inTime: boolean;
}

export interface FanOutComparison {
  readonly push: FanOutWay;
  readonly pull: FanOutWay;
  readonly hybrid: FanOutWay;
  /** Followers from which on an account is pulled. */
  readonly threshold: number;
  /** Accounts above it. */
  readonly pulledAccounts: number;
  /** The way with the least work of those that deliver in time. */
  readonly best: FanOutWay["way"];
}

export function compareFanOut(input: FanOutInput): FanOutComparison {
  const { law, postsPerSecond, readsPerSecond, spareWritesPerSecond, deliveredWithinMs } = input;
  const threshold = Math.min(law.max, (spareWritesPerSecond * deliveredWithinMs) / 1_000);
  const pulledShare = law.shareAbove(threshold);
  const way = (name: FanOutWay["way"], pushed: number, lists: number, largest: number): FanOutWay => {
    const slowestDeliveryMs = largest === 0 ? 0 : (largest / spareWritesPerSecond) * 1_000;
    return {
      way: name,
      writesPerSecond: postsPerSecond * Math.max(1, pushed),
      readsPerSecond: readsPerSecond * lists,
      slowestDeliveryMs,
      listsPerRead: lists,
      slowReads: 1 - 0.99 ** lists,
      // The threshold's own delivery takes exactly the time it may: rounding should not make it late.
      inTime: slowestDeliveryMs <= deliveredWithinMs * (1 + 1e-9),
    };
  };
  const push = way("push", law.mean, 1, law.max);
  const pull = way("pull", 0, law.mean, 0);
  const hybrid = way("hybrid", law.mean * (1 - pulledShare), 1 + law.mean * pulledShare, threshold);
  const work = (one: FanOutWay) => one.writesPerSecond + one.readsPerSecond;
  const [first, ...others] = [push, pull, hybrid].filter(({ inTime }) => inTime);
  const best = others.reduce((least, one) => (work(one) < work(least) ? one : least), first ?? pull);
  return { push, pull, hybrid, threshold, pulledAccounts: Math.floor(law.above(threshold)), best: best.way };
}

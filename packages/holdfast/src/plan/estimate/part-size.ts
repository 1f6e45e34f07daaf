/** How many of a part there are and are needed, how busy that makes them, and when they come to their end. */
import { exactly, type Interval, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";

/** Share of a node's capacity that the peak may take: what is left bears a lost node and the queue's own waiting. */
export const utilisationMax = 0.7;

export interface PartSize {
  readonly part: ResolvedPart;
  readonly load: PartLoad;
  readonly facts: NodeFacts;
  /** Instances, or nodes that data is spread over, that the estimates need. */
  readonly needed: Interval;
  /** What is there: as declared, or what is needed probably (two of what answers, for when one fails). */
  readonly count: number;
  /** Copies behind each node. */
  readonly replicas: number;
  /** Whether the declaration says how many, or the plan does. */
  readonly declared: boolean;
  /** Share of the calls that the whole part takes at most that come at the peak. Above 1 it cannot. */
  readonly utilisation: Interval;
  /** Share of the bytes that the whole part keeps well that are there at the horizon. */
  readonly fullness: Interval;
  /** What decides how many are needed: which figure comes to its end first. */
  readonly limitedBy: "calls" | "writes" | "reads" | "bytes" | "nothing";
  /** What its utilisation is made of most. */
  readonly busyWith: "calls" | "writes" | "reads" | "bytes sent" | "nothing";
  /** Times today's load at which it is at its end. */
  readonly saturatesAt: Interval | undefined;
  /** Calls a second of one kind that the whole part takes at most. */
  readonly capacityPerSecond: Interval | undefined;
  /** One copy of what it keeps at the horizon, with indexes. */
  readonly neededBytes: Interval;
}

export const none = exactly(0);

/** Times the load at which all of the part's capacity is taken. Nothing comes to an end that nobody asks. */
export function saturation({ low, mid, high }: Interval): Interval | undefined {
  if (!(mid > 0)) return undefined;
  return { low: 1 / high, mid: 1 / mid, high: low > 0 ? 1 / low : Number.POSITIVE_INFINITY };
}

export function atLeastOne(value: Interval): Interval {
  return rising((one) => Math.max(1, Math.ceil(one - 1e-9)), value);
}

/** Shards that k keys fall on when every shard is as likely: s (1 − (1 − 1/s)^k). */
export function shardsTouched(keys: number, shards: number): number {
  return shards > 1 && keys !== 1 ? shards * (1 - (1 - 1 / shards) ** keys) : 1;
}

/**
 * How popular the most popular is, and how much memory a cache needs for the hit ratio that is wanted: by Zipf's
 * law, keeping the most popular items.
 */
import { exactly, type Interval, multiply, rising } from "../models/interval.ts";
import { hottestShare, itemsForHitRatio } from "../models/zipf-cache.ts";
import type { ResolvedDataSet, ResolvedRequirements } from "../requirements/resolved.ts";
import { hitRatioOf, type PartLoad } from "./part-load.ts";
import { type Sheet, term } from "./sheet.ts";
import type { DataVolume } from "./storage.ts";

export interface CacheEstimate {
  readonly data: ResolvedDataSet;
  /** The cache before the part that keeps the data, when a path has one. */
  readonly cachePart: string | undefined;
  readonly hitRatio: Interval;
  /** Memory that the items need that bring the hit ratio. */
  readonly bytes: Interval;
  /** Share of the requests that ask for the most popular item. */
  readonly topShare: Interval;
  /** Requests a second at the peak that ask the cache, and that go on to the part behind. */
  readonly requestsPerSecond: number;
  readonly loadsPerSecond: number;
}

export function estimateCaches(
  sheet: Sheet,
  requirements: ResolvedRequirements,
  loads: ReadonlyMap<string, PartLoad>,
  volumes: readonly DataVolume[],
): readonly CacheEstimate[] {
  return volumes.flatMap((volume) => {
    const { data } = volume;
    const items = data.activeItems ?? volume.items;
    if (!(items.low >= 1)) return [];
    const cachePart = cacheBefore(requirements, data.in);
    const hitRatio = cachePart === undefined ? exactly(0) : hitRatioOf(requirements, data.in);
    const { skew } = data;
    // More items make each less popular, more skew the first more.
    const topShare = {
      low: hottest(items.high, skew.low),
      mid: hottest(items.mid, skew.mid),
      high: hottest(items.low, skew.high),
    };
    const load = loads.get(data.in);
    const reads = load?.reads.mid ?? 0;
    const before = cachePart === undefined ? undefined : loads.get(cachePart);
    const bytes = cachePart === undefined ? exactly(0) : memory(sheet, data, items, hitRatio);
    return {
      data,
      cachePart,
      hitRatio,
      bytes,
      topShare,
      requestsPerSecond: before?.reads.mid ?? reads,
      loadsPerSecond: reads,
    };
  });
}

function cacheBefore({ operations }: ResolvedRequirements, part: string): string | undefined {
  return operations
    .flatMap(({ path }) => path)
    .find((step) => step.part === part && step.onMissOf !== undefined)?.onMissOf;
}

function memory(sheet: Sheet, data: ResolvedDataSet, items: Interval, hitRatio: Interval): Interval {
  const { name, skew, itemBytes } = data;
  const keys = {
    low: held(hitRatio.low, items.low, skew.high),
    mid: held(hitRatio.mid, items.mid, skew.mid),
    high: held(hitRatio.high, items.high, skew.low),
  };
  sheet.put(
    "cache",
    `data.${name}.cache-items`,
    `${name}, items that bring the hit ratio`,
    rising(Math.ceil, keys),
    "count",
    `${term(hitRatio, "ratio")} of the requests, by Zipf's law with exponent ${skew.mid} over ${term(items, "count")} items`,
  );
  return sheet.put(
    "cache",
    `data.${name}.cache-bytes`,
    `${name}, memory for them`,
    multiply(keys, itemBytes),
    "B",
    `${term(keys, "count")} × ${term(itemBytes, "B")}`,
  );
}

/** Items beyond what a number counts exactly make no difference to a share. */
const whole = (items: number) => Math.min(Math.max(1, Math.round(items)), Number.MAX_SAFE_INTEGER);

function hottest(items: number, exponent: number): number {
  const found = hottestShare({ items: whole(items), exponent });
  return found.holds ? found.share : 1;
}

function held(hitRatio: number, items: number, exponent: number): number {
  const found = itemsForHitRatio({ items: whole(items), exponent }, hitRatio);
  return found.holds ? found.held : items;
}

/**
 * Which keys and shards of a window of samples are hot. Pure.
 *
 * A key is hot when it certainly got more than its share, whatever the bounded counting does not know. A shard is hot
 * when it got more than its share without its hot keys: those are told by name already.
 */
import type { Frequent } from "./space-saving.ts";

export interface HeatRule {
  /** A window with fewer samples says nothing. */
  readonly samplesMin: number;
  /** Of all samples, more than 0 and less than 1. */
  readonly keyShare: number;
  readonly shardShare: number;
}

export interface HeatWindow {
  readonly samples: number;
  readonly keys: readonly (Frequent & { readonly shard: number })[];
  /** Samples of each shard. */
  readonly shards: ReadonlyMap<number, number>;
  readonly shardCount: number;
}

export interface Heat {
  readonly keys: readonly { readonly key: string; readonly shard: number; readonly share: number }[];
  readonly shards: readonly { readonly shard: number; readonly share: number }[];
}

export function judgeHeat(window: HeatWindow, rule: HeatRule): Heat {
  const { samples, shardCount } = window;
  if (samples < rule.samplesMin) return { keys: [], shards: [] };
  const keys = window.keys
    .map(({ key, shard, count, error }) => ({ key, shard, share: (count - error) / samples }))
    .filter(({ share }) => share > rule.keyShare);
  // With few shards each has a large share by nature: twice an even one is the least that is odd.
  const shardShare = Math.max(rule.shardShare, 2 / shardCount);
  const shards = [...window.shards]
    .map(([shard, count]) => ({ shard, share: count / samples }))
    .filter(({ shard, share }) => {
      const named = keys.filter((key) => key.shard === shard).reduce((sum, key) => sum + key.share, 0);
      return share - named > shardShare;
    });
  return { keys, shards };
}

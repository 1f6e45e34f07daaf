/**
 * How a key finds its shard, as plain data, and the pure half of finding it.
 *
 * - `hash`: the key's hash modulo the number of shards. Even, and blind to order.
 * - `range`: between declared bounds. Keys that are neighbours stay together, and so do hot spots.
 * - `directory`: each key is assigned to a shard once, and that is written down. For tenants and geography.
 */
import { keyHashModulo } from "./key-hash.ts";
import { compareUtf8 } from "./key-order.ts";
import { keyText } from "./key-text.ts";
import type { ShardMap } from "./shard-map.ts";

export interface HashStrategy {
  readonly by: "hash";
  /** How many leading parts of a key are hashed; without it all of them. */
  readonly keyParts?: number;
}

export interface RangeStrategy {
  readonly by: "range";
  readonly of: "text" | "integer";
  /** Rising; integers in decimal. Bound i is the first key of shard i + 1. */
  readonly bounds: readonly string[];
}

export interface ShardGroup {
  readonly name: string;
  readonly shards: number;
}

export interface DirectoryStrategy {
  readonly by: "directory";
  /** The first group has shards 0 …, the next those behind them. */
  readonly groups: readonly ShardGroup[];
}

export type ShardStrategy = HashStrategy | RangeStrategy | DirectoryStrategy;

/** How many leading parts of a key decide its shard; `undefined` for all that it has. */
export function decidingParts(strategy: ShardStrategy): number | undefined {
  return strategy.by === "hash" ? strategy.keyParts : 1;
}

/**
 * From the parts of a key to its shard, for strategies that need nothing but the key.
 *
 * @returns `undefined` for a directory
 */
export function shardFinder(
  strategy: ShardStrategy,
  shardCount: number,
): ((parts: readonly string[]) => number) | undefined {
  switch (strategy.by) {
    case "hash": {
      const { keyParts } = strategy;
      return (parts) => keyHashModulo(keyText(keyParts ? parts.slice(0, keyParts) : parts), shardCount);
    }
    case "range": {
      if (strategy.of === "text")
        return ([key = ""]) => countBelow(strategy.bounds, (bound) => compareUtf8(bound, key) <= 0);
      const bounds = strategy.bounds.map(BigInt);
      return ([text = ""]) => {
        const key = BigInt(text);
        return countBelow(bounds, (bound) => bound <= key);
      };
    }
    case "directory":
      return undefined;
  }
}

/** Length of the run at the beginning of `sorted` for which `isBelow` holds. */
function countBelow<T>(sorted: readonly T[], isBelow: (item: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(sorted[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The shards of each group, as [first, behind the last). */
export function groupShards(groups: readonly ShardGroup[]): ReadonlyMap<string, readonly [number, number]> {
  let first = 0;
  const places = new Map<string, readonly [number, number]>();
  for (const { name, shards } of groups) {
    places.set(name, [first, first + shards]);
    first += shards;
  }
  return places;
}

/**
 * The first map of a strategy: shards dealt over the nodes in turn; those of a directory group by group. With as
 * many nodes as groups, or more, no node has shards of two groups; with fewer, no group is on two nodes.
 *
 * @throws {RangeError} without nodes or shards
 */
export function firstShardMap(
  strategy: ShardStrategy,
  nodes: readonly string[],
  shardCount: number,
): ShardMap {
  if (nodes.length === 0) throw new RangeError("a shard map needs at least one node");
  if (!(Number.isInteger(shardCount) && shardCount >= 1))
    throw new RangeError(`shardCount should be a whole number from 1, got ${shardCount}`);
  const deal = (count: number, over: readonly string[]) =>
    Array.from({ length: count }, (_, shard) => over[shard % over.length] as string);
  if (strategy.by !== "directory") return { epoch: 1, shards: deal(shardCount, nodes) };
  const { groups } = strategy;
  const shards = groups.flatMap((group, index) => {
    const own =
      nodes.length >= groups.length
        ? nodes.filter((_, node) => node % groups.length === index)
        : [nodes[index % nodes.length] as string];
    return deal(group.shards, own);
  });
  return { epoch: 1, shards };
}

/** The strategy and number of shards as text that is the same for the same layout of data. */
export function layoutText(strategy: ShardStrategy, shardCount: number): string {
  switch (strategy.by) {
    case "hash":
      return JSON.stringify({
        by: "hash",
        shards: shardCount,
        ...(strategy.keyParts ? { keyParts: strategy.keyParts } : {}),
      });
    case "range":
      return JSON.stringify({ by: "range", of: strategy.of, bounds: strategy.bounds });
    case "directory":
      return JSON.stringify({
        by: "directory",
        groups: strategy.groups.map(({ name, shards }) => [name, shards]),
      });
  }
}

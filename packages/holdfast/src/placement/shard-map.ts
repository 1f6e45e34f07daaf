/**
 * Which node holds which logical shard, as a value with an epoch.
 *
 * The number of shards is fixed for the life of the data; the nodes under them are not. Every change makes a
 * new map with the next epoch, so that of two maps the newer one is known, and a router that acts on the older
 * one can be told.
 */
export interface ShardMap {
  /** 1 for the first map; grows by one with every change. */
  readonly epoch: number;
  /** Node names; the index is the shard. */
  readonly shards: readonly string[];
}

export interface ShardMove {
  readonly shard: number;
  readonly from: string;
  readonly to: string;
}

/**
 * The first map: shard i on node i modulo the number of nodes, so that shares differ by one at most.
 *
 * @throws {RangeError} without nodes, or with fewer than one shard
 */
export function evenShardMap(nodes: readonly string[], shardCount: number): ShardMap {
  if (nodes.length === 0) throw new RangeError("a shard map needs at least one node");
  if (!(Number.isInteger(shardCount) && shardCount >= 1))
    throw new RangeError(`shardCount should be a whole number from 1, got ${shardCount}`);
  const shards = Array.from({ length: shardCount }, (_, shard) => nodes[shard % nodes.length] as string);
  return { epoch: 1, shards };
}

/** The map after `shard` has moved to `node`, one epoch on; the same map when it is there already. */
export function moveShard(map: ShardMap, shard: number, node: string): ShardMap {
  const from = map.shards[shard];
  if (from === undefined)
    throw new RangeError(`shard should be a whole number from 0 to ${map.shards.length - 1}, got ${shard}`);
  if (from === node) return map;
  return { epoch: map.epoch + 1, shards: map.shards.with(shard, node) };
}

/** The shards on `node`, rising. */
export function shardsOn(map: ShardMap, node: string): number[] {
  return map.shards.flatMap((holder, shard) => (holder === node ? [shard] : []));
}

/**
 * The fewest moves after which `nodes` share the shards evenly (shares differ by one at most) and nothing is
 * left on any other node. Which shards move is the same whoever asks.
 */
export function movesToEven(map: ShardMap, nodes: readonly string[]): ShardMove[] {
  if (nodes.length === 0) throw new RangeError("shards need at least one node to be on");
  const held = new Map(nodes.map((node) => [node, shardsOn(map, node)]));
  const floor = Math.floor(map.shards.length / nodes.length);
  const extra = map.shards.length % nodes.length;
  // Those that hold most keep one more than the rest: that saves the most moves.
  const byLoad = [...nodes].sort((a, b) => (held.get(b)?.length ?? 0) - (held.get(a)?.length ?? 0));
  const share = new Map(byLoad.map((node, rank) => [node, rank < extra ? floor + 1 : floor]));

  const kept = new Map(nodes.map((node) => [node, 0]));
  const homeless: number[] = [];
  map.shards.forEach((node, shard) => {
    const count = kept.get(node);
    if (count === undefined || count >= (share.get(node) ?? 0)) homeless.push(shard);
    else kept.set(node, count + 1);
  });
  const free = byLoad.flatMap((node) =>
    Array.from({ length: (share.get(node) ?? 0) - (kept.get(node) ?? 0) }, () => node),
  );
  return homeless.map((shard, index) => ({
    shard,
    from: map.shards[shard] as string,
    to: free[index] as string,
  }));
}

/** Everything that is wrong with a map that came from a file or a peer, each with what to change. */
export function shardMapProblems(
  map: ShardMap,
  expected: { readonly shardCount: number; readonly nodes: readonly string[] },
): string[] {
  const problems: string[] = [];
  if (!(Number.isSafeInteger(map.epoch) && map.epoch >= 1))
    problems.push(`epoch should be a whole number from 1, got ${map.epoch}`);
  if (map.shards.length !== expected.shardCount)
    problems.push(
      `shards should have ${expected.shardCount} entries, has ${map.shards.length}: the number of shards is fixed for the life of the data`,
    );
  const known = new Set(expected.nodes);
  for (const node of new Set(map.shards)) {
    if (known.has(node)) continue;
    const shards = shardsOn(map, node).join(", ");
    problems.push(`shard ${shards}: there is no node "${node}"; use one of ${expected.nodes.join(", ")}`);
  }
  return problems;
}

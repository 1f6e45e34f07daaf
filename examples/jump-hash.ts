/**
 * Jump consistent hash: no table at all, perfectly even; buckets come and go at the end only.
 *
 *   node examples/jump-hash.ts
 */
import {
  evenShardMap,
  jumpBucket,
  jumpHash,
  keyHashModulo,
  moveShard,
  movesToEven,
} from "holdfast/placement";

console.log("published: jumpHash(256, 1024) =", jumpHash(256n, 1024));

const keys = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
for (const buckets of [1, 2, 4, 10, 100]) {
  const share = (place: (key: string, count: number) => number) => {
    const moved = keys.filter((key) => place(key, buckets) !== place(key, buckets + 1)).length;
    return `${((100 * moved) / keys.length).toFixed(1)} %`;
  };
  console.log(
    `${buckets} to ${buckets + 1} buckets: jump moves ${share(jumpBucket)}, hash % N moves ${share(keyHashModulo)}`,
  );
}

// Holdfast hashes keys to a fixed number of shards, and moves whole shards between nodes: a map with an epoch.
let map = evenShardMap(["a", "b"], 8);
console.log("shards of two nodes:  ", map);
for (const { shard, to } of movesToEven(map, ["a", "b", "c"])) map = moveShard(map, shard, to);
console.log("after a third joined: ", map);

export { type HashRing, type HashRingOptions, hashRing, hashRingDefaults } from "./hash-ring.ts";
export { jumpBucket, jumpHash } from "./jump-hash.ts";
export { type HashParts, keyHash, keyHashModulo, keyHashParts } from "./key-hash.ts";
export {
  evenShardMap,
  moveShard,
  movesToEven,
  type ShardMap,
  type ShardMove,
  shardMapProblems,
  shardsOn,
} from "./shard-map.ts";

export { type HashRing, type HashRingOptions, hashRing, hashRingDefaults } from "./hash-ring.ts";
export { jumpBucket, jumpHash } from "./jump-hash.ts";
export { type HashParts, keyHash, keyHashModulo, keyHashParts } from "./key-hash.ts";
export { compareUtf8 } from "./key-order.ts";
export { keyText } from "./key-text.ts";
export {
  evenShardMap,
  moveShard,
  movesToEven,
  type ShardMap,
  type ShardMove,
  shardMapProblems,
  shardsOn,
} from "./shard-map.ts";
export {
  type DirectoryStrategy,
  decidingParts,
  firstShardMap,
  groupShards,
  type HashStrategy,
  layoutText,
  type RangeStrategy,
  type ShardGroup,
  type ShardStrategy,
  shardFinder,
} from "./shard-strategy.ts";

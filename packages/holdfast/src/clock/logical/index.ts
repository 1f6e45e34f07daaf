export {
  compareHybrid,
  decodeHybrid,
  encodeHybrid,
  type HybridClock,
  type HybridClockOptions,
  type HybridTime,
  hybridClock,
} from "./hybrid.ts";
export { type LamportClock, lamportClock } from "./lamport.ts";
export {
  compareVersions,
  incrementVersion,
  mergeVersions,
  type VersionOrder,
  type VersionVector,
} from "./version-vector.ts";

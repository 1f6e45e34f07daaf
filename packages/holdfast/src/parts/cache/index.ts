export type { InvalidationBus, InvalidationListener } from "./bus-port.ts";
export { type Cache, type CacheOptions, cache, cacheDefaults, type ResolvedCacheOptions } from "./declare.ts";
export type { CachePort, CacheStats } from "./port.ts";

export { type MemoryCache, type MemoryCacheEnvironment, memoryCache } from "./cache.ts";

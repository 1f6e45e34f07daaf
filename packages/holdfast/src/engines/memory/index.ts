export { type MemoryCache, type MemoryCacheEnvironment, memoryCache } from "./cache.ts";
export { type MemoryQueue, memoryQueue } from "./queue/queue.ts";

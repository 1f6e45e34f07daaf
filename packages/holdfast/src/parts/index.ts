export { type Cache, type CacheOptions, cache } from "./cache/index.ts";
export {
  type Database,
  type DatabaseOptions,
  database,
  type ReadLevel,
  type Shard,
  type ShardKey,
  type WriteOptions,
} from "./database/index.ts";
export { type Gateway, type GatewayOptions, gateway, type Route } from "./gateway/index.ts";
export { isPart, type Part, type PartKind } from "./part.ts";
export { type Queue, type QueueOptions, queue } from "./queue/index.ts";
export type { Quantity, Requirements } from "./requirements/index.ts";
export {
  type MissedPolicy,
  type Schedule,
  type ScheduleOptions,
  type ScheduleState,
  schedule,
  type Tick,
} from "./schedule/index.ts";
export { type Compatibility, type VersionedSchema, versions } from "./schema/index.ts";
export {
  errorResponse,
  type FetchHandler,
  type Service,
  type ServiceOptions,
  service,
} from "./service/index.ts";
export { isSystem, type System, type SystemOptions, system } from "./system.ts";
export { type Topic, type TopicOptions, topic } from "./topic/index.ts";
export {
  type AnyWorker,
  type Batch,
  type BatchHandler,
  type Job,
  type JobHandler,
  type QueueWorker,
  type QueueWorkerOptions,
  type Worker,
  type WorkerOptions,
  worker,
} from "./worker/index.ts";
export { currentWorld, installWorld, inWorld, World } from "./world.ts";

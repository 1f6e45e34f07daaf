export {
  type AnyDatabase,
  type Database,
  type DatabaseOptions,
  database,
  databaseDefaults,
  type ResolvedDatabaseOptions,
  type Shard,
} from "./declare.ts";
export type { Isolation, ReadIsolation } from "./isolation.ts";
export type { DatabasePort, EffectGuard, ShardKey, WriteOptions } from "./port.ts";
export type { ReadLevel, ReadOptions, ResolvedRead } from "./read-options.ts";
export type { ReplicationOptions, ResolvedReplication } from "./replication-options.ts";

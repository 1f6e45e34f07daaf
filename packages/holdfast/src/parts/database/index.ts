export {
  type AnyDatabase,
  type Database,
  type DatabaseOptions,
  database,
  databaseDefaults,
  type ResolvedDatabaseOptions,
  type Shard,
} from "./declare.ts";
export type { DatabasePort, EffectGuard, ReadLevel, ShardKey, WriteOptions } from "./port.ts";

export {
  type AnyDatabase,
  type Database,
  type DatabaseOptions,
  database,
  databaseDefaults,
  type ResolvedDatabaseOptions,
  type Shard,
} from "./declare.ts";
export type { EverywhereOptions, Page } from "./everywhere/everywhere.ts";
export type { OrderBy } from "./everywhere/order-by.ts";
export type { ScatterOptions, ShardFailure } from "./everywhere/scatter.ts";
export type { Totals, TotalsOptions } from "./everywhere/totals.ts";
export type {
  Assignment,
  AssignOptions,
  DatabasePort,
  EffectGuard,
  KeyPart,
  ShardKey,
  WriteOptions,
} from "./port.ts";
export type { ReadLevel, ReadOptions, ResolvedRead } from "./read-options.ts";
export type { ReplicationOptions, ResolvedReplication } from "./replication-options.ts";
export type { Routed, RouteOptions } from "./route/route.ts";
export {
  type DirectoryShards,
  type HashShards,
  type RangeShards,
  type ShardOptions,
  shardOptionsOf,
  type TableKeys,
} from "./sharding/shard-options.ts";

export type {
  Change,
  ChangeOrigin,
  MarkerChange,
  RowChange,
  RowOf,
  TruncateChange,
} from "./changes/change.ts";
export {
  type ChangeFeed,
  type ChangeFeedOptions,
  changeFeedDefaults,
  feedOf,
  type ResolvedFeed,
} from "./changes/declare.ts";
export {
  type AnyDatabase,
  type Database,
  type DatabaseOptions,
  database,
  databaseDefaults,
  type ResolvedDatabaseOptions,
  type Shard,
  type ShardWriteOptions,
} from "./declare.ts";
export type { EverywhereOptions, Page } from "./everywhere/everywhere.ts";
export type { OrderBy } from "./everywhere/order-by.ts";
export type { ScatterOptions, ShardFailure } from "./everywhere/scatter.ts";
export type { Totals, TotalsOptions } from "./everywhere/totals.ts";
export type { FullDatabasePort } from "./full-port.ts";
export type { Isolation, ReadIsolation } from "./isolation.ts";
export type { Lookup, LookupPageOptions } from "./lookup/handle.ts";
export type { LookupOptions, ResolvedLookup } from "./lookup/options.ts";
export type { LookupPort, LookupSweep } from "./lookup/port.ts";
export type { LookupValues } from "./lookup/values.ts";
export type {
  Assignment,
  AssignOptions,
  DatabasePort,
  EffectGuard,
  KeyPart,
  ResolvedTogether,
  ShardKey,
  TogetherOptions,
  WriteOptions,
} from "./port.ts";
export type { ReadLevel, ReadOptions, ResolvedRead } from "./read-options.ts";
export type { Reference, ReferenceWriteOptions, ReferenceWritten } from "./reference/handle.ts";
export type { ReferenceOptions, ResolvedReference } from "./reference/options.ts";
export type { ReferenceBehind, ReferencePort, ReferenceState } from "./reference/port.ts";
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
export { type Together, togetherDefaults } from "./together.ts";

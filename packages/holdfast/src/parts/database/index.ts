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
export type { FullDatabasePort } from "./full-port.ts";
export type { Lookup, LookupPageOptions } from "./lookup/handle.ts";
export type { LookupOptions, ResolvedLookup } from "./lookup/options.ts";
export type { LookupPort, LookupSweep } from "./lookup/port.ts";
export type { LookupValues } from "./lookup/values.ts";
export type { DatabasePort, EffectGuard, ShardKey, WriteOptions } from "./port.ts";
export type { ReadLevel, ReadOptions, ResolvedRead } from "./read-options.ts";
export type { Reference, ReferenceWriteOptions, ReferenceWritten } from "./reference/handle.ts";
export type { ReferenceOptions, ResolvedReference } from "./reference/options.ts";
export type { ReferenceBehind, ReferencePort, ReferenceState } from "./reference/port.ts";
export type { ReplicationOptions, ResolvedReplication } from "./replication-options.ts";

/** Postgres as an engine: databases, topics and the invalidation bus, and what they need on a server. */
export { type BusDatabase, postgresInvalidationBus } from "./bus.ts";
export { type FeedEvent, type FeedState, type FeedStatus, feedNotice } from "./changes/feed-event.ts";
export {
  type ChangeRelay,
  type ChangeRelayOptions,
  openChangeRelay,
  type RelayedFeed,
} from "./changes/relay.ts";
export type {
  DatabaseConfig,
  HostsDatabaseConfig,
  HostsNodeConfig,
  PostgresEndpoint,
  PostgresNodeConfig,
  ShardMap,
} from "./config.ts";
export { postgresDatabase } from "./database.ts";
export type { HostStatus, HostsStatus } from "./hosts-watch.ts";
export { installFramework } from "./install.ts";
export { type LockWarning, warningLines } from "./lock-rules/index.ts";
export { maintainMarkers } from "./marker.ts";
export { type Migrated, migrateDatabase } from "./migrate.ts";
export { type Blocker, blockerText } from "./migrate-blockers.ts";
export {
  type MigrateOptions,
  type MigrateStep,
  type MigrateWait,
  migrateDefaults,
} from "./migrate-options.ts";
export { type MigrationPlan, planMigration } from "./migrate-pending.ts";
export { type DatabaseNodes, type DatabaseNodesEnv, openDatabaseNodes } from "./nodes.ts";
export { type PostgresQueue, postgresQueue } from "./queue/queue.ts";
export type { PlannedMove } from "./reshard/move-check.ts";
export type { MoveRecord } from "./reshard/move-record.ts";
export type { MoveProgress } from "./reshard/move-shard.ts";
export { openReshard, type Resharder, type ReshardOptions, type ReshardRequest } from "./reshard/reshard.ts";
export { readShards, type ShardsState } from "./reshard/reshard-state.ts";
export { type DatabaseRole, grantRoles, type RoleAccess } from "./roles.ts";
export { type PostgresTopic, postgresTopic } from "./topic.ts";
export {
  type DevelopmentWatch,
  type DevelopmentWatchOptions,
  developmentWatch,
  developmentWatchDefaults,
} from "./warnings/development-watch.ts";
export type { SeenKey, SeenStatement, StatementWatch } from "./warnings/statement-watch.ts";
export { type DevelopmentWarning, type WarningCode, warningCodes } from "./warnings/warning.ts";

/** Postgres as an engine: databases, topics and the invalidation bus, and what they need on a server. */
export { type BusDatabase, postgresInvalidationBus } from "./bus.ts";
export type { DatabaseConfig, PostgresEndpoint, PostgresNodeConfig, ShardMap } from "./config.ts";
export { postgresDatabase } from "./database.ts";
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
export { type PostgresTopic, postgresTopic } from "./topic.ts";

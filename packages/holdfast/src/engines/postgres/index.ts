/** Postgres as an engine: databases, topics and the invalidation bus, and what they need on a server. */
export { type BusDatabase, postgresInvalidationBus } from "./bus.ts";
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
export { maintainMarkers } from "./marker.ts";
export { type Migrated, type MigrateOptions, migrateDatabase } from "./migrate.ts";
export { type DatabaseNodes, type DatabaseNodesEnv, openDatabaseNodes } from "./nodes.ts";
export { type DatabaseRole, grantRoles, type RoleAccess } from "./roles.ts";
export { type PostgresTopic, postgresTopic } from "./topic.ts";

/** Where everything of a described system is, once its servers run: what each process is handed. */
import { connectionBudget } from "./connection-budget.ts";
import type { SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import { maxConnections, type PostgresNodes } from "./postgres-nodes.ts";

/**
 * @param warnings whether processes warn of what will not bear more rows or users
 * @throws {HoldfastError} HOLDFAST_CONNECTION_BUDGET when the processes' pools cannot fit into the servers
 */
export function worldConfig(
  description: SystemDescription,
  postgres: PostgresNodes | undefined,
  warnings: boolean,
): WorldConfig {
  const { databases, services, workers, topics, queues, caches } = description;
  const instances = [...services, ...workers].reduce((sum, part) => sum + part.instances, 0);
  const { poolSize } = connectionBudget({
    maxConnections,
    // A rolling restart runs one process more than declared.
    processes: instances + 1,
    databases: databases.length,
    // For wake-ups of the topics and of each database's outbox, to explain statements, and for the caches' bus.
    listeners:
      (topics.length + queues.length > 0 ? databases.length : 0) +
      (warnings ? 1 : 0) +
      (caches.length > 0 ? databases.length : 0),
  });
  return {
    name: description.name,
    poolSize,
    warnings,
    databases: postgres
      ? Object.fromEntries(databases.map((database) => [database.name, postgres.config(database)]))
      : {},
  };
}

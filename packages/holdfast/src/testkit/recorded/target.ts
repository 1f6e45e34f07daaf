/** Where a recorded workload runs: an engine, or several of one system, on real servers. */
import { systemClock } from "../../clock/index.ts";
import type { DatabaseConfig } from "../../engines/postgres/config.ts";
import { migrateDatabase } from "../../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../../engines/postgres/nodes.ts";
import type { ResolvedReplication } from "../../parts/database/index.ts";
import type { System, World } from "../../parts/index.ts";
import type { WorldConfig } from "../../runtime/messages.ts";
import { openWorld } from "../../runtime/open-world.ts";
import type { TestPostgres } from "../postgres.ts";

export interface Target {
  readonly name: string;
  /** Binds every handle of `system`, in as many worlds as there are to be processes. */
  open(system: System, processes: number): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** What each process of the system sees: a handle of its own for each part, with its own pools and caches. */
  readonly worlds: readonly [World, ...World[]];
  /** For processes of their own, as plain data. */
  readonly config?: WorldConfig;
  close(): Promise<void>;
}

export interface PostgresTargetOptions {
  readonly postgres: TestPostgres;
  /** Changes where clients connect to: through a fault proxy, for example. Default: as it is. */
  readonly through?: (config: DatabaseConfig) => DatabaseConfig;
  /** Connections of each pool. Default 8. */
  readonly poolSize?: number;
}

/** Databases, topics and the bus on Postgres, caches in memory: as `holdfast up` binds them. */
export function postgresTarget(options: PostgresTargetOptions): Target {
  const { postgres, through = (config) => config, poolSize = 8 } = options;
  return {
    name: "postgres",
    async open(system, processes) {
      const databases: Record<string, DatabaseConfig> = {};
      for (const database of system.databases) {
        const direct = await postgres.freshDatabase({ shards: database.options.shardCount });
        const nodes = openDatabaseNodes(direct, { clock: systemClock, applicationName: "prepare" });
        try {
          await migrateDatabase(database, nodes);
        } finally {
          await nodes.close();
        }
        databases[database.name] = through(direct);
        await replicate(postgres, direct, database.options.replication);
      }
      await postgres.caughtUp();
      const config: WorldConfig = { name: system.name, databases, poolSize };
      const opened = Array.from({ length: processes }, (_, index) =>
        openWorld(system, config, { clock: systemClock, applicationName: `recorded-${index + 1}` }),
      );
      return {
        config,
        worlds: opened.map(({ world }) => world) as [World, ...World[]],
        async close() {
          await Promise.all(opened.map((one) => one.close()));
        },
      };
    },
  };
}

/** Has the servers do what the declaration says. An asynchronous database is left as the server has it. */
async function replicate(
  { nodes }: TestPostgres,
  config: DatabaseConfig,
  replication: ResolvedReplication,
): Promise<void> {
  if (replication.mode !== "synchronous") return;
  for (const node of nodes) {
    const name = config.nodes.find((one) => one.name === node.name)?.primary.database;
    if (name === undefined) continue;
    await node.setWaits(name, true);
    await node.setQuorum(replication.quorum);
  }
}

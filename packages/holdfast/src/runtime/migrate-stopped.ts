/**
 * Migrates a system that does not run: its servers are started for it, nothing else, and stopped again. The project
 * is claimed meanwhile, so that `holdfast up` cannot start in between.
 */
import { existsSync } from "node:fs";
import type { Clock } from "../clock/index.ts";
import { readMigrations } from "../engines/postgres/migrate-files.ts";
import { makeControlSocket, serveControl } from "./control.ts";
import type { SystemDescription } from "./describe.ts";
import { describeInProcess } from "./describe-process.ts";
import { stopLeftChildren, stopLeftServers } from "./leftovers.ts";
import type { MigrateEvent } from "./migrate-events.ts";
import { migrateSystem, planSystem } from "./migrate-system.ts";
import { startPostgresNodes } from "./postgres-nodes.ts";
import { makeSystemFolders, type Project, systemPaths } from "./project.ts";
import { makeStateFolders } from "./state-folder.ts";
import type { SystemStatus } from "./status.ts";
import { claimProject } from "./supervisor-file.ts";
import { worldConfig } from "./world-config.ts";

export interface MigrateStoppedOptions {
  readonly project: Project;
  readonly systemFile: string;
  /** Only say what is pending. */
  readonly check: boolean;
  readonly clock: Clock;
  readonly progress: (text: string) => void;
  readonly tell: (event: MigrateEvent) => void;
}

/** @throws {HoldfastError} HOLDFAST_ALREADY_RUNNING, HOLDFAST_SYSTEM_INVALID, and what `migrateDatabase` throws */
export async function migrateStopped(options: MigrateStoppedOptions): Promise<void> {
  const { project, clock, progress, tell, check } = options;
  progress("Checking the system and its modules");
  makeStateFolders(project);
  const description = await describeInProcess(options);
  const files = systemPaths(project, description.name);
  if (description.databases.length === 0) return;
  if (check && !existsSync(files.postgres)) {
    for (const described of description.databases) tell(await planOfNothing(described));
    return;
  }
  const startedAtMs = clock.monotonicMs();
  const control = makeControlSocket();
  const claim = await claimProject(project, description.name, control.path).catch((error: unknown) => {
    control.remove();
    throw error;
  });
  const status = async (): Promise<SystemStatus> => ({
    system: description.name,
    state: "starting",
    step: "Migrating",
    pid: process.pid,
    upMs: clock.monotonicMs() - startedAtMs,
    url: undefined,
    instances: [],
    servers: [],
    failovers: [],
    replication: [],
    archives: [],
    outbox: [],
    inDoubt: [],
    shards: [],
    changes: [],
    warnings: [],
  });
  const server = await serveControl(control.path, {
    status,
    down: () => process.kill(process.pid, "SIGINT"),
  });
  let nodes: Awaited<ReturnType<typeof startPostgresNodes>> | undefined;
  try {
    if (claim.stale) {
      progress(`Clearing what supervisor ${claim.stale.supervisor.pid} left`);
      await stopLeftChildren(claim.stale, clock);
      if (claim.stale.system !== description.name) await stopLeftServers(project, claim.stale.system, clock);
    }
    makeSystemFolders(files);
    progress("Starting Postgres");
    nodes = await startPostgresNodes({
      databases: description.databases,
      dir: files.postgres,
      clock,
      progress,
      mayRestart: () => false,
      failed: () => {},
      restarted: () => {},
      failedOver: () => {},
      replicationChanged: () => {},
    });
    const world = worldConfig(description, nodes, false);
    await (check ? planSystem : migrateSystem)(description, world, { clock, tell });
  } finally {
    progress("Stopping Postgres");
    await nodes?.stop("clean");
    server.close();
    claim.release();
    control.remove();
  }
}

/** Nothing was ever started here: everything is before it. */
async function planOfNothing(described: SystemDescription["databases"][number]): Promise<MigrateEvent> {
  const files = described.migrations ? await readMigrations(new URL(described.migrations)) : [];
  const shards = Array.from({ length: described.shardCount }, (_, shard) => shard);
  return {
    kind: "plan",
    database: described.name,
    files: files.length,
    shards: shards.length,
    pending: files.map(({ name }) => ({ file: name, shards })),
    steps: [],
    warnings: [],
  };
}

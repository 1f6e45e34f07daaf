/**
 * Several servers that belong together: started on free loopback ports, ready when they say so together, gone
 * without a trace, also when the test process is killed.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { PortTakenError, type ServerProcess } from "./server-process.ts";
import { openTestDir } from "./test-dir.ts";

export interface ClusterPlan<S extends ServerProcess> {
  /** All of them: they are ended when the cluster is. */
  readonly servers: readonly S[];
  /** Starts the servers, and resolves when they have become one cluster. */
  form(): Promise<void>;
}

export interface ClusterOptions {
  /** Ports that the plan needs. */
  readonly ports: number;
  /** Keep the data on disk. Default false: in memory where the system offers enough. */
  readonly onDisk?: boolean;
}

export interface RunningCluster<P> {
  readonly plan: P;
  /** Ends the servers at once and removes everything. Can run twice. */
  stop(): Promise<void>;
}

const attemptsMax = 5;

/** When this throws, none of the servers runs and nothing is left behind. */
export async function startCluster<S extends ServerProcess, P extends ClusterPlan<S>>(
  { ports: count, onDisk = false }: ClusterOptions,
  makePlan: (dir: string, ports: readonly number[]) => Promise<P>,
): Promise<RunningCluster<P>> {
  const dir = await openTestDir({ onDisk });
  for (let attempt = 1; ; attempt++) {
    const path = join(dir.path, `attempt-${attempt}`);
    await mkdir(path, { mode: 0o700 });
    const plan = await makePlan(path, await freePorts(count)).catch(async (error) => {
      await dir.remove();
      throw error;
    });
    const end = () => Promise.all(plan.servers.map((server) => server.kill()));
    try {
      await plan.form();
      let stopping: Promise<void> | undefined;
      const stop = () => {
        // All of it is thrown away, so nobody is asked to end cleanly.
        stopping ??= end().then(() => dir.remove());
        return stopping;
      };
      return { plan, stop };
    } catch (error) {
      await end();
      // Between the look at a port and its use another program may take it.
      if (error instanceof PortTakenError && attempt < attemptsMax) {
        await rm(path, { recursive: true, force: true });
        continue;
      }
      await dir.remove();
      throw error;
    }
  }
}

/** Starts servers of which none answers before the others run. */
export async function startTogether(servers: readonly ServerProcess[]): Promise<void> {
  await Promise.all(servers.map((server) => server.launch()));
  await Promise.all(servers.map((server) => server.ready()));
}

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

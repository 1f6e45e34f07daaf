/**
 * What a supervisor that was killed has left: child processes that are still draining or cannot, and embedded
 * servers, which do not notice. Both are known by what was recorded, and ended before anything starts anew.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock/index.ts";
import { readNodeRecord } from "../engines/postgres/embedded/node-record.ts";
import { isRunning, type ProcessIdentity, stopOrphans } from "../engines/postgres/embedded/processes.ts";
import { removeControlSocket } from "./control.ts";
import { type Project, systemPaths } from "./project.ts";
import type { SupervisorRecord } from "./supervisor-file.ts";

/** Children drain by themselves when their channel breaks; who has not ended by then is paused or stands still. */
const drainMsMax = 6_000;

/** Ends the child processes. */
export async function stopLeftChildren(stale: SupervisorRecord, clock: Clock): Promise<void> {
  removeControlSocket(stale.socket);
  const untilMs = clock.monotonicMs() + drainMsMax;
  let left: readonly ProcessIdentity[] = stale.children;
  for (;;) {
    const alive = await Promise.all(left.map(isRunning));
    left = left.filter((_, index) => alive[index]);
    if (left.length === 0) return;
    if (clock.monotonicMs() >= untilMs) for (const { pid } of left) kill(pid);
    await clock.sleep(50);
  }
}

/** Ends the embedded servers of the system, cleanly if they let it. `startNode` does the same for its own. */
export async function stopLeftServers(project: Project, system: string, clock: Clock): Promise<void> {
  const { postgres } = systemPaths(project, system);
  for (const node of await namesIn(postgres)) {
    const record = await readNodeRecord(join(postgres, node));
    if (!record) continue;
    const servers = await namesIn(record.serversDir);
    await Promise.all(servers.map((server) => stopOrphans(join(record.serversDir, server), clock)));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone in this moment.
  }
}

async function namesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

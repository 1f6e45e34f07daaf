/**
 * Processes of Postgres servers whose supervisor, or whose postmaster, is gone.
 *
 * A process is known by its id and its start time, because ids are used again. A server's processes are known
 * by their working directory: every Postgres process works in its data directory, also after its postmaster
 * was killed. That matters, because a killed postmaster's backends can go on acknowledging commits for
 * another second: a server is gone only when all of them are.
 */
import { execFile } from "node:child_process";
import { readdir, readFile, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../../clock/index.ts";

const run = promisify(execFile);
const linux = process.platform === "linux";

export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, in the system's own notation: compare it, do not read it. */
  readonly startTime: string;
}

/** When the process `pid` started (comparable text that also tells reboots apart), or undefined when there is none. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  try {
    if (linux) {
      const [bootId, line] = await Promise.all([
        readFile("/proc/sys/kernel/random/boot_id", "utf8"),
        readFile(`/proc/${pid}/stat`, "utf8"),
      ]);
      // The name in parentheses may hold anything, so fields are counted after the last one; state is the first.
      const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") return undefined; // dead, only not yet reaped
      return `${bootId.trim()}:${fields[19]}`;
    }
    const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether the very process that was recorded is still running. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await processStartTime(identity.pid)) === identity.startTime;
}

/** What names this very process. */
export async function identifySelf(): Promise<ProcessIdentity> {
  return { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? "" };
}

/** Ids of all living processes whose working directory is `dataDir`: postmaster, backends, workers. */
export async function findServerProcesses(dataDir: string): Promise<number[]> {
  // One whose directory was removed goes on in it, under its old name.
  const dir = await realpath(dataDir).catch(() =>
    realpath(dirname(dataDir)).then(
      (parent) => join(parent, basename(dataDir)),
      () => undefined,
    ),
  );
  if (dir === undefined) return [];
  return linux ? byProc(dir) : byLsof(dir);
}

async function byProc(dir: string): Promise<number[]> {
  const entries = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    entries.map(async (name) => {
      const cwd = await readlink(`/proc/${name}/cwd`).catch(() => undefined); // not ours, or gone
      if (cwd !== dir && cwd !== `${dir} (deleted)`) return undefined;
      const pid = Number(name);
      if (pid === process.pid || (await processStartTime(pid)) === undefined) return undefined;
      const program = (await readFile(`/proc/${name}/comm`, "utf8").catch(() => "")).trim();
      return program === "postgres" ? pid : undefined; // a shell that someone left in the directory stays
    }),
  );
  return found.filter((pid) => pid !== undefined);
}

async function byLsof(dir: string): Promise<number[]> {
  // lsof exits with 1 when it finds nothing.
  const { stdout } = await run("lsof", ["-a", "-d", "cwd", "-c", "postgres", "-Fpn"]).catch(() => ({
    stdout: "",
  }));
  return parseLsof(stdout, dir);
}

/** Process ids from `lsof -Fpn` whose file name is `dir`: a `p` line names a process, an `n` line its directory. */
export function parseLsof(text: string, dir: string): number[] {
  const pids: number[] = [];
  let pid = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith("p")) pid = Number(line.slice(1));
    else if (line === `n${dir}`) pids.push(pid);
  }
  return pids;
}

/** Sends a signal; a process that is gone already is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export interface StopOrphansOptions {
  /** How long an orphan may take to shut down cleanly, in milliseconds. Default 5_000. Then it is killed. */
  readonly cleanMs?: number;
}

/**
 * Makes sure that no process of the server in `dataDir` runs: asks a postmaster that is still there to shut
 * down, then kills what is left, and waits until all are gone.
 *
 * @returns how many processes there were
 */
export async function stopOrphans(
  dataDir: string,
  clock: Clock,
  options: StopOrphansOptions = {},
): Promise<number> {
  const orphans = await findServerProcesses(dataDir);
  if (orphans.length === 0) return 0;
  const postmaster = await postmasterPid(dataDir);
  if (postmaster !== undefined && orphans.includes(postmaster)) {
    signalProcess(postmaster, "SIGINT");
    if (await goneWithin(dataDir, clock, options.cleanMs ?? 5_000)) return orphans.length;
  }
  do {
    // Found anew each time: a postmaster may have started a process between the look and the signal.
    for (const pid of await findServerProcesses(dataDir)) signalProcess(pid, "SIGKILL");
  } while (!(await goneWithin(dataDir, clock, 1_000)));
  return orphans.length;
}

/** The postmaster's id that the data directory records, whether it is alive or not. */
export async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const text = await readFile(`${dataDir}/postmaster.pid`, "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return pid > 0 ? pid : undefined;
}

async function goneWithin(dataDir: string, clock: Clock, ms: number): Promise<boolean> {
  const untilMs = clock.monotonicMs() + ms;
  for (;;) {
    if ((await findServerProcesses(dataDir)).length === 0) return true;
    if (clock.monotonicMs() >= untilMs) return false;
    await clock.sleep(20);
  }
}

/**
 * The directory of one set of test servers, with the process that made it on record, and the removal of those
 * whose process is gone: for when a killed test took its watchdog with it.
 */
import { constants } from "node:fs";
import { access, chmod, mkdtemp, readdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../clock/index.ts";
import {
  isRunning,
  type ProcessIdentity,
  processStartTime,
  serverTempDir,
  socketDirOf,
  stopOrphans,
} from "../engines/postgres/embedded/index.ts";

const prefix = "hft-";

const memory = "/dev/shm";
const memoryBytesMin = 1 << 30;

/**
 * Where tests keep servers' data: in memory where the system offers enough of it. Nothing about a server
 * changes, fsync included, but tests that run side by side do not wait for one disk.
 */
export async function testBaseDir(): Promise<string> {
  try {
    await access(memory, constants.W_OK);
    const { bavail, bsize } = await statfs(memory);
    if (bavail * bsize >= memoryBytesMin) return memory;
  } catch {
    // not Linux, or closed to this user
  }
  return serverTempDir();
}

export async function makeTestDir(onDisk = false): Promise<string> {
  const dir = await mkdtemp(join(onDisk ? serverTempDir() : await testBaseDir(), prefix));
  const identity: ProcessIdentity = {
    pid: process.pid,
    startTime: (await processStartTime(process.pid)) ?? "",
  };
  await writeFile(join(dir, "process.json"), JSON.stringify(identity), { mode: 0o600 });
  await chmod(dir, 0o711); // when running as root, the servers' user passes through it
  return dir;
}

/** Ends the servers in, and removes, every test directory whose process is gone. */
export async function sweepTestDirs(): Promise<void> {
  for (const dir of await testDirs()) {
    const maker = await recordedProcess(dir);
    if (!maker || (await isRunning(maker))) continue;
    for (const node of await namesIn(dir)) {
      const servers = join(dir, node, "servers");
      for (const server of await namesIn(servers)) {
        await stopOrphans(join(servers, server), systemClock);
        await rm(socketDirOf(join(servers, server)), { recursive: true, force: true });
      }
    }
    await rm(dir, { recursive: true, force: true });
  }
}

async function testDirs(): Promise<string[]> {
  const dirs: string[] = [];
  for (const base of [memory, serverTempDir()]) {
    const names = (await namesIn(base)).filter((name) => name.startsWith(prefix));
    dirs.push(...names.map((name) => join(base, name)));
  }
  return dirs;
}

/** Nothing when the directory is another user's, or is just being made. */
async function recordedProcess(dir: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, "process.json"), "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []);
}

/**
 * The directory of one set of test servers, with the process that made it on record, and the removal of those
 * whose process is gone: for when a killed test took its watchdog with it.
 */
import { constants } from "node:fs";
import { access, chmod, mkdtemp, readdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isRunning,
  type ProcessIdentity,
  processStartTime,
  serverTempDir,
  socketDirOf,
} from "../engines/postgres/embedded/index.ts";
import { clearTestDir, watchdog } from "./watchdog.ts";

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

export interface TestDir {
  readonly path: string;
  /** Removes the directory: call it when no server in it runs. Can run twice. */
  remove(): Promise<void>;
}

/** A new directory for one set of servers. When this process dies, whatever runs in it is ended and it is removed. */
export async function openTestDir({ onDisk = false } = {}): Promise<TestDir> {
  await sweepTestDirs();
  const path = await makeTestDir(onDisk);
  const dog = watchdog(path);
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true });
      dog.release();
    },
  };
}

async function makeTestDir(onDisk: boolean): Promise<string> {
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
    const sockets = await socketDirs(dir);
    await clearTestDir(dir);
    await Promise.all(sockets.map((socket) => rm(socket, { recursive: true, force: true })));
  }
}

/** The directories of Postgres sockets, which lie elsewhere; also of servers that ended by themselves. */
async function socketDirs(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const node of await namesIn(dir)) {
    const servers = join(dir, node, "servers");
    for (const server of await namesIn(servers)) found.push(socketDirOf(join(servers, server)));
  }
  return found;
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

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import type { PostgresEndpoint } from "../engines/postgres/config.ts";
import {
  isRunning,
  processStartTime,
  serverTempDir,
  serverUser,
} from "../engines/postgres/embedded/index.ts";
import { startTestPostgres } from "./postgres.ts";
import { sweepTestDirs } from "./test-dir.ts";
import { until } from "./wait.ts";

const kit = new URL("./postgres.ts", import.meta.url).href;
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function query(
  endpoint: PostgresEndpoint | undefined,
  sql: string,
): Promise<Record<string, unknown>[]> {
  if (!endpoint) throw new Error("no such endpoint");
  const client = new pg.Client({ ...endpoint });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test("several nodes are several clusters, shards are dealt in turn, and nothing is left behind", async () => {
  const [one, other] = await Promise.all([
    startTestPostgres({ nodes: 2, replicas: 1, shards: 5 }),
    startTestPostgres({ onDisk: true }),
  ]);
  expect(other.nodes[0]?.dir.startsWith(serverTempDir())).toBe(true);
  expect(one.config.shardMap.shards).toEqual(["node-1", "node-2", "node-1", "node-2", "node-1"]);
  const identify = "select system_identifier::text as id from pg_control_system()";
  const [first, second] = await Promise.all(one.config.nodes.map((node) => query(node.primary, identify)));
  expect(first).not.toEqual(second);

  const fresh = await one.freshDatabase({ shards: 2 });
  expect(fresh.nodes[0]?.primary.database).not.toBe("test");
  await query(fresh.nodes[1]?.primary, "create table t as select 1 as a");
  await one.caughtUp();
  expect(await query(fresh.nodes[1]?.replicas[0], "select a from t")).toEqual([{ a: 1 }]);
  await expect(query(one.config.nodes[1]?.primary, "select a from t")).rejects.toThrow("does not exist");

  const servers = [one, other].flatMap(({ nodes }) =>
    nodes.flatMap((node) => [node.primary, ...node.replicas]),
  );
  expect(servers).toHaveLength(5);
  await Promise.all([one.stop(), one.stop(), other.stop()]);
  for (const server of servers) {
    expect(await isRunning(server)).toBe(false);
    await expect(stat(server.dataDir)).rejects.toThrow("ENOENT");
    await expect(stat(server.socketDir)).rejects.toThrow("ENOENT");
  }
});

test("a test process that is killed takes its servers and files with it", async () => {
  const { child, pid, dataDir, socketDir } = await killable();
  const startTime = (await processStartTime(pid)) ?? "";
  child.kill("SIGKILL");
  await until(async () => !(await isRunning({ pid, startTime })), { what: "the end of the servers" });
  await until(async () => (await gone(dataDir)) && (await gone(socketDir)), { what: "the removal of files" });
});

test("when the watchdog dies as well, the next test to start cleans up", async () => {
  const { child, pid, dataDir, socketDir } = await killable();
  const startTime = (await processStartTime(pid)) ?? "";
  const dogs = await watchdogsOf(child.pid ?? 0);
  expect(dogs).toHaveLength(1);
  for (const dog of dogs) process.kill(dog, "SIGKILL");
  child.kill("SIGKILL");
  await once(child, "exit");
  await sweepTestDirs();
  // Other test files may be sweeping at this moment, so ours may have found the work half done.
  await until(async () => !(await isRunning({ pid, startTime })), { what: "the end of the servers" });
  await until(async () => (await gone(dataDir)) && (await gone(socketDir)), { what: "the removal of files" });
});

// Also how Holdfast runs for everybody who is not root: no other user, no giving away of files.
test.runIf(process.getuid?.() === 0)("an ordinary user runs servers as itself", async () => {
  const user = await serverUser();
  const home = await mkdtemp(join(serverTempDir(), "hf-home-"));
  try {
    await chmod(home, 0o777);
    const { child, dataDir } = await killable({ uid: user.uid, gid: user.gid, home });
    expect((await stat(dataDir)).uid).toBe(user.uid);
    child.kill("SIGKILL");
    await until(() => gone(dataDir), { what: "the removal of the data" });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

async function gone(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  );
}

async function watchdogsOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="]);
  return stdout.split("\n").flatMap((line) => {
    const [id, parent] = line.trim().split(/\s+/);
    return Number(parent) === pid && line.includes("holdfast-watchdog") ? [Number(id)] : [];
  });
}

/** A process that has started test servers and waits. */
async function killable(as: { uid?: number; gid?: number; home?: string } = {}) {
  const script = `
    import { startTestPostgres } from ${JSON.stringify(kit)};
    const { nodes: [node] } = await startTestPostgres();
    console.log(JSON.stringify({ pid: node.primary.pid, dataDir: node.primary.dataDir,
      socketDir: node.primary.socketDir }));
    setInterval(() => {}, 1000);`;
  const { home, ...ids } = as;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    ...ids,
    ...(home === undefined ? {} : { env: { PATH: process.env.PATH, HOME: home, TMPDIR: home } }),
    cwd: "/",
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
  return { child, ...(JSON.parse(String(line)) as { pid: number; dataDir: string; socketDir: string }) };
}

import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { expect, test } from "vitest";
import type { PostgresEndpoint, PostgresNodeConfig } from "../engines/postgres/config.ts";
import { isRunning, serverTempDir, serverUser } from "../engines/postgres/embedded/index.ts";
import { nothingIsLeft, startServersElsewhere } from "./leftovers-testing.ts";
import { startTestPostgres } from "./postgres.ts";
import type { PostgresMember } from "./postgres-member.ts";
import { sweepTestDirs } from "./test-dir.ts";

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

const options = { module: "./postgres.ts", name: "startTestPostgres" } as const;

test("a test process that is killed takes its servers and files with it", async () => {
  const { victim, left } = await startServersElsewhere(options.module, options.name, "{ replicas: 1 }");
  await using _ = victim;
  expect(left.processes).toHaveLength(2);
  await victim.kill();
  await nothingIsLeft(left);
});

test("when the watchdog dies as well, the next test to start cleans up", async () => {
  const { victim, left } = await startServersElsewhere(options.module, options.name, "{}");
  await using _ = victim;
  const dogs = await watchdogsOf(victim.pid);
  expect(dogs).toHaveLength(1);
  for (const dog of dogs) process.kill(dog, "SIGKILL");
  await victim.kill();
  await sweepTestDirs();
  // Other test files may be sweeping at this moment, so ours may have found the work half done.
  await nothingIsLeft(left);
});

// Also how Holdfast runs for everybody who is not root: no other user, no giving away of files.
test.runIf(process.getuid?.() === 0)("an ordinary user runs servers as itself", async () => {
  const { uid, gid } = await serverUser();
  const home = await mkdtemp(join(serverTempDir(), "hf-home-"));
  try {
    await chmod(home, 0o777);
    const env = { PATH: process.env.PATH, HOME: home, TMPDIR: home };
    const { victim, left } = await startServersElsewhere(options.module, options.name, "{}", {
      uid,
      gid,
      env,
    });
    await using _ = victim;
    expect((await stat(left.dirs[0] ?? "")).uid).toBe(uid);
    await victim.kill();
    await nothingIsLeft(left);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

test("Debian's Postgres 15 runs with replicas; servers are paused, crashed and restarted as a whole", async () => {
  await using postgres = await startTestPostgres({ major: 15, replicas: 2 });
  const [primary, replica] = postgres.members as [PostgresMember, PostgresMember];
  expect(postgres.members.map((member) => member.role)).toEqual(["primary", "replica", "replica"]);
  const at = ({ port }: PostgresMember) => ({
    ...(postgres.config.nodes[0] as PostgresNodeConfig).primary,
    port,
  });
  expect(await query(at(primary), "show server_version_num")).toMatchObject([
    { server_version_num: expect.stringMatching(/^15/) },
  ]);
  await query(at(primary), "create table t as select 1 as a");
  await postgres.caughtUp();
  expect(await query(at(replica), "select a from t")).toEqual([{ a: 1 }]);

  await primary.pause();
  let answered = false;
  const late = query(at(primary), "select a from t").finally(() => {
    answered = true;
  });
  expect(await query(at(replica), "select a from t")).toEqual([{ a: 1 }]);
  expect(answered).toBe(false);
  await primary.resume();
  expect(await late).toEqual([{ a: 1 }]);

  await primary.kill();
  expect(primary.running).toBe(false);
  await expect(query(at(primary), "select 1")).rejects.toThrow("ECONNREFUSED");
  expect(await query(at(replica), "select a from t")).toEqual([{ a: 1 }]);
  await primary.restart();
  expect(primary.running).toBe(true);
  await query(at(primary), "insert into t values (2)");
  await postgres.caughtUp();
  expect(await query(at(replica), "select a from t order by a")).toEqual([{ a: 1 }, { a: 2 }]);
});

test("a major version that replicas cannot be made for is refused", async () => {
  await expect(startTestPostgres({ major: 14 })).rejects.toThrow("major should be 15 or more, got 14");
});

async function watchdogsOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="]);
  return stdout.split("\n").flatMap((line) => {
    const [id, parent] = line.trim().split(/\s+/);
    return Number(parent) === pid && line.includes("holdfast-watchdog") ? [Number(id)] : [];
  });
}

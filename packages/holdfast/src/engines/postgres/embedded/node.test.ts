import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { copyTemplate, testPassword } from "../../../testkit/postgres-template.ts";
import { testBaseDir } from "../../../testkit/test-dir.ts";
import { until } from "../../../testkit/wait.ts";
import type { PostgresEndpoint } from "../config.ts";
import {
  findServerProcesses,
  type RunningNode,
  type RunningServer,
  type StartNodeOptions,
  startNode,
  stopAbandonedNode,
} from "./index.ts";

let dir: string;
let running: RunningNode[];
let children: ChildProcess[];

beforeEach(async () => {
  dir = await mkdtemp(join(await testBaseDir(), "hf-node-"));
  await chmod(dir, 0o711);
  running = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(running.map((node) => node.stop()));
  for (const server of running.flatMap((node) => [node.primary, ...node.replicas])) {
    expect(await findServerProcesses(server.dataDir)).toEqual([]);
    await expect(stat(server.socketDir)).rejects.toThrow("ENOENT");
  }
  await rm(dir, { recursive: true, force: true });
});

async function start(options: Partial<StartNodeOptions> = {}): Promise<RunningNode> {
  const node = await startNode({
    name: "n",
    dir: join(dir, "n"),
    password: testPassword,
    makeData: (data) => copyTemplate(0, data),
    sharedBuffersMiB: 16,
    syncCopies: false,
    ...options,
  });
  running.push(node);
  return node;
}

async function query(endpoint: PostgresEndpoint, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...endpoint });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const primaryOf = (node: RunningNode) => node.endpoints("postgres").primary;

function replicaOf(node: RunningNode, index = 0): PostgresEndpoint {
  const endpoint = node.endpoints("postgres").replicas[index];
  if (!endpoint) throw new Error(`no replica ${index}`);
  return endpoint;
}

function serverOf(node: RunningNode, index = 0): RunningServer {
  const server = node.replicas[index];
  if (!server) throw new Error(`no replica ${index}`);
  return server;
}

test("a new node has real Postgres with checksums, a random password and no other way in", async () => {
  const node = await startNode({ name: "n", dir: join(dir, "n") });
  running.push(node);
  const [settings] = await query(
    primaryOf(node),
    `select current_setting('data_checksums') as checksums, current_setting('fsync') as fsync,
            current_setting('server_encoding') as encoding, current_setting('listen_addresses') as listen,
            (select datlocale from pg_database where datname = 'postgres') as locale`,
  );
  expect(settings).toEqual({
    checksums: "on",
    fsync: "on",
    encoding: "UTF8",
    listen: "127.0.0.1",
    locale: "C.UTF-8",
  });
  expect(primaryOf(node).password).toMatch(/^[\w-]{32}$/);
  await expect(query({ ...primaryOf(node), password: "wrong" }, "select 1")).rejects.toThrow(/password/);
  expect((await stat(join(dir, "n", "node.json"))).mode & 0o777).toBe(0o600);
  expect(await node.createDatabase("with-hyphen")).toBe(true);
  expect(await node.createDatabase("with-hyphen")).toBe(false);
  expect(await query(node.endpoints("with-hyphen").primary, "select current_database() as name")).toEqual([
    { name: "with-hyphen" },
  ]);
});

test("stopping leaves no process and no socket, can run twice, and a restart finds data and endpoints again", async () => {
  const node = await start();
  const before = node.endpoints("postgres");
  await query(before.primary, "create table t as select 1 as a");
  const pids = await findServerProcesses(node.primary.dataDir);
  expect(pids).toContain(node.primary.pid);
  // Ctrl-C goes to the process group of the terminal, and the server is in one of its own.
  const { stdout } = await promisify(execFile)("ps", ["-o", "pgid=", "-p", String(node.primary.pid)]);
  expect(Number(stdout)).toBe(node.primary.pid);
  await Promise.all([node.stop(), node.stop()]);
  expect(await findServerProcesses(node.primary.dataDir)).toEqual([]);
  await expect(node.restartServer("primary")).rejects.toMatchObject({ code: "HOLDFAST_ABORTED" });

  const again = await start();
  expect(again.endpoints("postgres")).toEqual(before);
  expect(await query(before.primary, "select a from t")).toEqual([{ a: 1 }]);
});

test("kill -9 of the primary loses no committed row, and its replica follows the restarted one by itself", async () => {
  const node = await start({ replicas: 1 });
  const endpoints = node.endpoints("postgres");
  await query(endpoints.primary, "create table t as select 1 as a");
  const { primary } = node;
  primary.kill("SIGKILL");
  expect(await primary.exited).toEqual({ code: null, signal: "SIGKILL" });
  const restarted = await node.restartServer("primary");
  expect(restarted.pid).not.toBe(primary.pid);
  expect(node.endpoints("postgres")).toEqual(endpoints);
  await query(endpoints.primary, "insert into t values (2)");
  await until(async () => (await query(replicaOf(node), "select a from t")).length === 2, {
    what: "the row written after the restart on the replica",
  });
});

test("a replica repeats its primary, refuses writes, and comes back after kill -9", async () => {
  const node = await start({ replicas: 2 });
  await query(primaryOf(node), "create table t as select 1 as a");
  for (const index of [0, 1]) {
    await until(() => query(replicaOf(node, index), "select a from t"), { what: "the table on a replica" });
  }
  await expect(query(replicaOf(node), "insert into t values (2)")).rejects.toMatchObject({ code: "25006" });
  await until(async () => (await node.replicaState(0)) === "streaming");
  serverOf(node).kill("SIGKILL");
  await serverOf(node).exited;
  await query(primaryOf(node), "insert into t values (2)");
  const dataBefore = (await stat(serverOf(node).dataDir)).ino;
  await node.restartServer(0);
  await until(async () => (await query(replicaOf(node), "select a from t")).length === 2);
  expect((await stat(serverOf(node).dataDir)).ino).toBe(dataBefore); // the same data, not a new copy
});

test("with the primary down a replica restarts and serves reads, and follows the primary when it is back", async () => {
  const node = await start({ replicas: 1 });
  await query(primaryOf(node), "create table t as select 1 as a");
  await until(() => query(replicaOf(node), "select a from t"), { what: "the table on the replica" });
  node.primary.kill("SIGKILL");
  serverOf(node).kill("SIGKILL");
  await Promise.all([node.primary.exited, serverOf(node).exited]);
  await expect(node.replicaState(0)).rejects.toMatchObject({ code: "HOLDFAST_UNAVAILABLE" });
  await node.restartServer(0);
  expect(await query(replicaOf(node), "select a from t")).toEqual([{ a: 1 }]);
  await node.restartServer("primary");
  await until(async () => (await node.replicaState(0)) === "streaming");
});

test("a replica whose WAL is gone, or whose data is damaged, is made anew from the primary", async () => {
  const said: string[] = [];
  const node = await start({
    replicas: 1,
    settings: {
      max_slot_wal_keep_size: "32MB",
      wal_keep_size: "0",
      min_wal_size: "32MB",
      max_wal_size: "32MB",
    },
    onProgress: (message) => said.push(message),
  });
  await serverOf(node).stop();
  await query(primaryOf(node), "create table t as select 1 as a");
  for (let segment = 0; segment < 5; segment++) {
    await query(primaryOf(node), "insert into t select 2; select pg_switch_wal()");
    await query(primaryOf(node), "checkpoint");
  }
  expect(await node.replicaState(0)).toBe("lost");
  await node.restartServer(0);
  await until(async () => (await query(replicaOf(node), "select a from t")).length === 6);
  expect(said.join("\n")).toContain("no longer");

  await serverOf(node).stop();
  await writeFile(join(serverOf(node).dataDir, "global", "pg_control"), "damaged");
  await node.restartServer(0);
  await until(async () => (await query(replicaOf(node), "select a from t")).length === 6);
  expect(said.join("\n")).toContain("cannot be used");
});

test("a replica that can never get the WAL it needs fails its start with the reason, instead of waiting", async () => {
  // Nothing is kept for the replica: its slot is lost at the first checkpoint, before it is there to read.
  const settings = { max_slot_wal_keep_size: "1MB", wal_keep_size: "0" };
  await expect(start({ replicas: 1, settings })).rejects.toMatchObject({
    code: "HOLDFAST_POSTGRES_START",
    message: expect.stringContaining("no longer has the WAL"),
  });
});

test("a replica that is no longer wanted leaves no slot behind that would keep WAL for ever", async () => {
  const node = await start({ replicas: 1 });
  await node.stop();
  const without = await start({ replicas: 0 });
  expect(await query(primaryOf(without), "select * from pg_replication_slots")).toEqual([]);
  await expect(stat(serverOf(node).dataDir)).rejects.toThrow("ENOENT");
});

test("a kept port that another program took is replaced, and the node says so", async () => {
  const node = await start();
  const kept = primaryOf(node).port;
  await node.stop();
  const thief = createServer().listen(kept, "127.0.0.1");
  await once(thief, "listening");
  try {
    const said: string[] = [];
    const again = await start({ onProgress: (message) => said.push(message) });
    expect(primaryOf(again).port).not.toBe(kept);
    expect(await query(primaryOf(again), "select 1 as a")).toEqual([{ a: 1 }]);
    expect(said.join("\n")).toContain(`port ${kept} is taken`);
  } finally {
    thief.close();
  }
});

test("data of another major version is refused before anything is touched", async () => {
  const node = await start();
  await node.stop();
  const file = join(node.primary.dataDir, "PG_VERSION");
  await writeFile(file, "17\n");
  await expect(start()).rejects.toMatchObject({
    code: "HOLDFAST_POSTGRES_VERSION",
    message: expect.stringMatching(/Postgres 17.*pg_dump/s),
  });
  await writeFile(file, "18\n");
  await start();
});

test("a setting that Postgres refuses fails the start with its own words, and leaves no process", async () => {
  await expect(start({ settings: { work_mem: "plenty" } })).rejects.toMatchObject({
    code: "HOLDFAST_POSTGRES_START",
    message: expect.stringContaining("work_mem"),
  });
  expect(await findServerProcesses(join(dir, "n", "servers", "primary"))).toEqual([]);
  await start(); // and the same directory starts with a good one
});

test("missing data of a node that had data is a loss to report, not a first run", async () => {
  const node = await start({ replicas: 1 });
  await node.stop();
  await rm(node.primary.dataDir, { recursive: true });
  await expect(start({ replicas: 1 })).rejects.toMatchObject({
    code: "HOLDFAST_POSTGRES_START",
    message: expect.stringContaining("existed before"),
  });
  await stat(serverOf(node).dataDir); // the copy is still there
});

test("a start that is given up leaves no process, and the next one succeeds", async () => {
  const control = new AbortController();
  const starting = start({ replicas: 1, signal: control.signal, onProgress: () => control.abort() });
  await expect(starting).rejects.toMatchObject({ code: "HOLDFAST_ABORTED" });
  for (const server of ["primary", "replica-1"]) {
    expect(await findServerProcesses(join(dir, "n", "servers", server))).toEqual([]);
  }
  await start({ replicas: 1 });
});

test("a node runs once: a second start is refused while its process lives", async () => {
  await start();
  await expect(start()).rejects.toMatchObject({ code: "HOLDFAST_POSTGRES_IN_USE" });
});

test("servers of a killed process are stopped by the next start, or without one", async () => {
  for (const clear of [() => start(), () => stopAbandonedNode(join(dir, "n"))]) {
    const orphaned = await orphan();
    expect(await findServerProcesses(orphaned.dataDir)).toContain(orphaned.pid);
    await clear();
    expect(await findServerProcesses(orphaned.dataDir)).not.toContain(orphaned.pid);
    await running.at(-1)?.stop();
  }
});

/** A node whose supervising process was killed with -9. */
async function orphan(): Promise<{ pid: number; dataDir: string }> {
  const script = `
    import { startNode } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
    import { copyTemplate, testPassword } from ${JSON.stringify(new URL("../../../testkit/postgres-template.ts", import.meta.url).href)};
    const node = await startNode({ name: "n", dir: ${JSON.stringify(join(dir, "n"))}, password: testPassword,
      makeData: (data) => copyTemplate(0, data) });
    console.log(JSON.stringify({ pid: node.primary.pid, dataDir: node.primary.dataDir }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(child.stdout as NodeJS.ReadableStream, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  return JSON.parse(String(line));
}

test("a paused primary can still be stopped", async () => {
  const node = await start({ stopMs: 5_000 });
  node.primary.kill("SIGSTOP");
  await node.stop();
  expect((await node.primary.exited).signal).toBeNull(); // it shut down cleanly
});

test.runIf(process.getuid?.() === 0)(
  "a project in a closed directory keeps its data where the server reaches it",
  async () => {
    const closed = join(dir, "closed");
    const sharedDir = join(dir, "shared");
    const options = { dir: join(closed, "project", "n"), sharedDir };
    await mkdir(closed, { mode: 0o700 });
    const inside = await start(options);
    expect(inside.primary.dataDir.startsWith(sharedDir)).toBe(true);
    await query(primaryOf(inside), "create table t as select 1 as a");
    await inside.stop();
    const again = await start(options);
    expect(await query(primaryOf(again), "select a from t")).toEqual([{ a: 1 }]);
  },
);

test("a damaged record is reported, not replaced: the password in it opens the data", async () => {
  const node = await start();
  await node.stop();
  const path = join(dir, "n", "node.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.slice(0, 20));
  await expect(start()).rejects.toMatchObject({ code: "HOLDFAST_POSTGRES_START" });
  await writeFile(path, text);
  await start();
});

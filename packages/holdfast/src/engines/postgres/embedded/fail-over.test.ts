/** A node whose primary is lost for good: what takes its place, what is kept, and what is reported. */
import { readdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { loseDir } from "../../../testkit/lose-dir.ts";
import type { PostgresEndpoint } from "../config.ts";
import { parseLsn } from "../timeline.ts";
import { findServerProcesses, isRunning, processStartTime, type RunningNode } from "./index.ts";

let postgres: TestPostgres | undefined;
afterEach(() => postgres?.stop());

async function start(replicas: number): Promise<RunningNode> {
  postgres = await startTestPostgres({ replicas, shards: 1 });
  await onPrimary("create table item (id int primary key)");
  await postgres.caughtUp();
  const [node] = postgres.nodes;
  if (!node) throw new Error("no node");
  return node;
}

async function ask(endpoint: PostgresEndpoint | undefined, text: string): Promise<unknown[]> {
  const client = new pg.Client({ ...endpoint });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query({ text, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}
const onPrimary = (text: string) => ask(postgres?.config.nodes[0]?.primary, text);
const onReplica = (index: number, text: string) => ask(postgres?.config.nodes[0]?.replicas[index], text);
const items = "select id from item order by id";

/** What is written from here on the replica does not get. */
async function cutOff(index: number): Promise<void> {
  await onReplica(index, "alter system set primary_conninfo to ''");
  await onReplica(index, "select pg_reload_conf()");
  await until(
    async () => (await onReplica(index, "select count(*)::int from pg_stat_wal_receiver"))[0] === 0,
  );
}

test("a paused primary is dead before a replica takes its place, and clients find that one where they look", async () => {
  const node = await start(1);
  await onPrimary("insert into item values (1)");
  await postgres?.caughtUp();
  const old = await findServerProcesses(node.primary.dataDir);
  for (const pid of old) process.kill(pid, "SIGSTOP");
  const { port } = node.primary;
  const failover = await node.failOver();
  expect(failover).toMatchObject({ promoted: "replica-1", timeline: 2 });
  expect(node.failovers).toEqual([failover]);
  const alive = await findServerProcesses(node.primary.dataDir);
  expect(alive.filter((pid) => old.includes(pid))).toEqual([]);
  expect(node.primary.port).toBe(port);
  await onPrimary("insert into item values (2)");
  expect(await onPrimary(items)).toEqual([1, 2]);
});

test("the old data is set aside whole, what it had more is reported, and a fresh replica follows", async () => {
  const node = await start(1);
  await cutOff(0);
  await onPrimary("insert into item values (7)");
  await node.checkPrimary();
  node.primary.kill("SIGKILL");
  const { fork, lastSeen, setAside } = await node.failOver();
  expect(parseLsn(lastSeen ?? "0/0")).toBeGreaterThan(parseLsn(fork));
  await stat(`${setAside}/PG_VERSION`);
  expect(await onPrimary(items)).toEqual([]);
  await onPrimary("alter system reset primary_conninfo"); // what cut it off went with it
  await node.restartServer(0);
  await onPrimary("insert into item values (8)");
  await postgres?.caughtUp();
  expect(await onReplica(0, items)).toEqual([8]);
});

test("with its directory gone under it, no process of the old primary goes on", async () => {
  const node = await start(1);
  const { dataDir } = node.primary;
  const old = await findServerProcesses(dataDir);
  expect(old.length).toBeGreaterThan(3);
  const identities = await Promise.all(
    old.map(async (pid) => ({ pid, startTime: (await processStartTime(pid)) ?? "" })),
  );
  await loseDir(dataDir);
  const { setAside } = await node.failOver();
  expect(setAside).toBeNull();
  for (const identity of identities) expect(await isRunning(identity)).toBe(false);
  await onPrimary("insert into item values (1)");
});

test("of two replicas the one with most of the log is promoted, and the other follows it", async () => {
  const node = await start(2);
  await cutOff(0);
  await onPrimary("insert into item values (1)");
  await until(async () => (await onReplica(1, items)).length === 1);
  node.primary.kill("SIGKILL");
  expect(await node.failOver()).toMatchObject({ promoted: "replica-2" });
  expect(await onPrimary(items)).toEqual([1]);
  await onReplica(0, "alter system reset primary_conninfo");
  await onReplica(0, "select pg_reload_conf()");
  await onPrimary("insert into item values (2)");
  await until(async () => (await onReplica(0, items)).length === 2);
});

test("with a quorum, nobody is promoted before so many answer that one of them must have every commit", async () => {
  const node = await start(2);
  await node.setQuorum(1);
  const away = node.replicas[1];
  await away?.stop();
  node.primary.kill("SIGKILL");
  await expect(node.failOver()).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    data: { node: "node-1", reachable: 1, needed: 2 },
  });
  expect(node.failovers).toEqual([]);
  // Untouched: with its data there, the primary itself is the better way back.
  await node.restartServer("primary");
  await node.restartServer(1);
  await onPrimary("insert into item values (1)");
});

test("a second failover sets a second directory aside", async () => {
  const node = await start(1);
  node.primary.kill("SIGKILL");
  await node.failOver();
  await node.restartServer(0);
  await onPrimary("insert into item values (1)");
  await postgres?.caughtUp();
  node.primary.kill("SIGKILL");
  expect(await node.failOver()).toMatchObject({ timeline: 3 });
  const found = (await readdir(dirname(node.primary.dataDir))).filter((name) => name.includes("set-aside"));
  expect(found.sort()).toEqual(["primary.set-aside-1", "primary.set-aside-2"]);
  expect(await onPrimary(items)).toEqual([1]);
});

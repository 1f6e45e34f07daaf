/** The quorum of a real node, as its replica comes and goes. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import type { RunningNode } from "../engines/postgres/embedded/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import { replicationNotice, watchReplication } from "./replication-watch.ts";
import type { ReplicationStatus } from "./status.ts";

let postgres: TestPostgres;
let node: RunningNode;
beforeAll(async () => {
  postgres = await startTestPostgres({ replicas: 1, shards: 1 });
  [node] = postgres.nodes as [RunningNode];
  await node.setWaits("test", true);
});
afterAll(() => postgres?.stop());

async function watching(onReplicaLoss: "stall" | "degrade") {
  const stop = new AbortController();
  const told: ReplicationStatus["state"][] = [];
  const watch = await watchReplication({
    node,
    policy: { quorum: 1, onReplicaLoss },
    clock: systemClock,
    changed: (status) => told.push(status.state),
    progress: () => {},
    stop: stop.signal,
    lookMs: 100,
  });
  return { watch, told, [Symbol.dispose]: () => stop.abort() };
}

/** Resolves when a commit is acknowledged. */
async function commit(): Promise<void> {
  const client = new pg.Client({ ...postgres.config.nodes[0]?.primary });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("select pg_logical_emit_message(true, 'test', '')");
  } finally {
    await client.end();
  }
}

test("degrade: commits go on without a lost replica after a moment, and with it again when it is back", async () => {
  using watched = await watching("degrade");
  const { watch, told } = watched;
  expect(watch.status()).toEqual({
    node: "node-1",
    declared: 1,
    quorum: 1,
    streaming: 1,
    state: "protected",
  });
  await node.replicas[0]?.stop();
  // It waits, and is let go.
  await commit();
  await until(() => watch.status().state === "degraded");
  expect(watch.status()).toMatchObject({ quorum: 0, streaming: 0 });
  await node.restartServer(0);
  await until(() => watch.status().state === "protected");
  expect(told.at(-2)).toBe("degraded");
  await commit();
});

test("stall: commits wait until the replica is back, however long", async () => {
  using watched = await watching("stall");
  const { watch, told } = watched;
  await node.replicas[0]?.stop();
  let acknowledged = false;
  const committing = commit().then(() => {
    acknowledged = true;
  });
  await until(() => watch.status().state === "stalled");
  // More looks than a node that may degrade takes; each is a connection, so that they take a while.
  for (let look = 0; look < 40; look++) await node.streaming();
  expect([acknowledged, watch.status().quorum]).toEqual([false, 1]);
  await node.restartServer(0);
  await committing;
  await until(() => watch.status().state === "protected");
  expect(told).toEqual(["stalled", "protected"]);
});

test("each change is said in words that name the node and the numbers", () => {
  const status = { node: "node-1", declared: 2, quorum: 1, streaming: 1 } as const;
  expect(replicationNotice({ ...status, state: "degraded" })).toEqual([
    "warn",
    "node-1: 1 of 2 replicas stream; commits go without the others, and losing the primary may lose them",
  ]);
  expect(replicationNotice({ ...status, quorum: 2, state: "stalled" })).toEqual([
    "error",
    "node-1: commits wait for 2 replicas, and 1 stream",
  ]);
  expect(replicationNotice({ ...status, quorum: 2, streaming: 2, state: "protected" })[0]).toBe("info");
});

/** The supervised servers of a system: a primary that cannot come back, and one that stands still. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { findServerProcesses } from "../engines/postgres/embedded/index.ts";
import { readNodeRecord } from "../engines/postgres/embedded/node-record.ts";
import { until } from "../testkit/index.ts";
import { testBaseDir } from "../testkit/test-dir.ts";
import { failoverNotice } from "./failover-notice.ts";
import { type PostgresNodes, startPostgresNodes } from "./postgres-nodes.ts";
import type { FailoverStatus } from "./status.ts";

let dir: string;
let nodes: PostgresNodes | undefined;
const told: FailoverStatus[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(await testBaseDir(), "hf-nodes-"));
  // The servers' user has to pass; otherwise their data would lie elsewhere.
  await chmod(dir, 0o711);
  told.length = 0;
  nodes = await startPostgresNodes({
    databases: [
      {
        name: "links",
        migrations: undefined,
        shardCount: 1,
        replicas: 1,
        nodes: 1,
        replication: { mode: "asynchronous" },
      },
    ],
    dir,
    clock: systemClock,
    progress: () => {},
    mayRestart: () => true,
    failed: () => {},
    restarted: () => {},
    failedOver: (failover) => told.push(failover),
    replicationChanged: () => {},
  });
});
afterEach(async () => {
  await nodes?.stop("at-once");
  await rm(dir, { recursive: true, force: true });
});

const states = async () =>
  (await nodes?.status())?.map(({ name, state, lagBytes }) => [name, state, lagBytes]);
const primaryDir = async () => join((await readNodeRecord(join(dir, "node-1")))?.serversDir ?? "", "primary");
const healthy = [
  ["node-1/primary", "ready", undefined],
  ["node-1/replica-1", "ready", 0],
];

test("a primary whose data is taken away is replaced by its replica, and a fresh replica follows", async () => {
  const [primary] = (await nodes?.status()) ?? [];
  expect(await findServerProcesses(await primaryDir())).not.toEqual([]);
  await rm(await primaryDir(), { recursive: true, force: true });
  await until(() => told.length === 1, { timeoutMs: 40_000, what: "the failover" });
  expect(told[0]).toMatchObject({ node: "node-1", promoted: "replica-1", timeline: 2, setAside: null });
  expect(nodes?.failovers()).toEqual(told);
  await until(async () => JSON.stringify(await states()) === JSON.stringify(healthy), { timeoutMs: 40_000 });
  expect((await nodes?.status())?.[0]?.port).toBe(primary?.port);
});

test("a primary that stands still is killed and comes back by itself: nobody is promoted", async () => {
  const [before] = (await nodes?.status()) ?? [];
  for (const pid of await findServerProcesses(await primaryDir())) process.kill(pid, "SIGSTOP");
  await until(
    async () => {
      const [primary] = (await nodes?.status()) ?? [];
      return primary?.state === "ready" && primary.pid !== before?.pid;
    },
    { timeoutMs: 50_000, what: "the restart" },
  );
  expect(told).toEqual([]);
});

test("a failover is told with what is lost, as far as anybody knows, and where the old data lies", () => {
  const failover = {
    node: "node-1",
    atMs: Date.UTC(2026, 0, 2),
    promoted: "replica-1",
    timeline: 2,
    fork: "0/3000148",
    lastSeen: "0/3000148",
    setAside: null,
  };
  expect(failoverNotice(failover)).toBe(
    "node-1 failed over to replica-1 at 2026-01-02T00:00:00.000Z, timeline 2. Lost: nothing that was seen; the log beyond 0/3000148, if there was any. The old data was gone",
  );
  expect(failoverNotice({ ...failover, lastSeen: null })).toContain("Lost: the log beyond 0/3000148, if");
});

/**
 * How long there is no write when a primary is killed: the longest time between two that are acknowledged, from
 * kill −9 on, and the slowest write of all, under a steady load on one node with a replica. Not the time to the next
 * answer: processes of a killed server may answer for a moment longer. The server is started again by whoever
 * supervises it, as under `holdfast up`. There is no peer: a bare pool has no supervisor.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { inWorld, system, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { describeSystem } from "../packages/holdfast/src/runtime/describe.ts";
import { startPostgresNodes } from "../packages/holdfast/src/runtime/postgres-nodes.ts";
import { testBaseDir } from "../packages/holdfast/src/testkit/test-dir.ts";
import { type Bench, median } from "./bench.ts";

interface Tables {
  link: { code: string; url: string; visits: number };
}

const links = database<Tables>("links", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 8 },
  replicas: 1,
});
const writers = 8;
/** How long is looked at after a kill. */
const watchedMs = 5_000;

const bench: Bench = {
  name: "failover",
  title: "Seconds without writes when a primary is killed",
  async run(size) {
    const kills = size === "full" ? 7 : 1;
    const folder = await mkdtemp(join(await testBaseDir(), "hf-bench-"));
    await chmod(folder, 0o711);
    const [described] = describeSystem(system("bench", { parts: { links } })).databases;
    if (!described) throw new Error("the system has no database");
    const supervised = await startPostgresNodes({
      databases: [described],
      dir: folder,
      clock: systemClock,
      progress: () => {},
      mayRestart: () => true,
      failed: () => {},
      restarted: () => {},
      failedOver: () => {},
      replicationChanged: () => {},
    });
    const nodes = openDatabaseNodes(supervised.config(described), {
      clock: systemClock,
      applicationName: "bench",
    });
    const world = new World("bench", systemClock);
    world.bind(links, postgresDatabase(links, nodes, systemClock));
    const acknowledged = new Set<string>();
    const writable: number[] = [];
    const slowest: number[] = [];
    let stopped = false;
    let slowestMs = 0;
    let lastMs = 0;
    let gapMs = 0;
    const write = async (code: string) => {
      using call = new Call(systemClock, { timeoutMs: 30_000 });
      const begunAtMs = systemClock.monotonicMs();
      await inCall(call, () =>
        links.at(code).write((tx) => tx.insertInto("link").values({ code, url: code, visits: 0 }).execute()),
      );
      const endedAtMs = systemClock.monotonicMs();
      acknowledged.add(code);
      slowestMs = Math.max(slowestMs, endedAtMs - begunAtMs);
      gapMs = Math.max(gapMs, endedAtMs - lastMs);
      lastMs = endedAtMs;
    };
    try {
      await migrateDatabase(links, nodes);
      await inWorld(world, async () => {
        const load = Array.from({ length: writers }, async (_, writer) => {
          for (let n = 0; !stopped; n++) await write(`w${writer}-${n}`);
        });
        for (let kill = 0; kill < kills; kill++) {
          await systemClock.sleep(1_000);
          slowestMs = 0;
          const [primary] = (await supervised.status()).filter((server) => server.role === "primary");
          if (primary?.pid === undefined) throw new Error("the primary does not run");
          process.kill(primary.pid, "SIGKILL");
          lastMs = systemClock.monotonicMs();
          gapMs = 0;
          // Far beyond what it takes, so that a server that is not back by then shows as a gap of all of it.
          await systemClock.sleep(watchedMs);
          writable.push(Math.max(gapMs, systemClock.monotonicMs() - lastMs) / 1000);
          slowest.push(slowestMs / 1000);
        }
        stopped = true;
        await Promise.all(load);
        for (const shard of links.shards()) {
          const rows = await shard.read("strong", (sql) => sql.selectFrom("link").select("code").execute());
          for (const { code } of rows) acknowledged.delete(code);
        }
      });
      if (acknowledged.size > 0)
        throw new Error(`${acknowledged.size} acknowledged writes are lost, such as ${[...acknowledged][0]}`);
      return {
        figures: [
          {
            name: "longest time without a write, median",
            unit: "s",
            value: median(writable),
            better: "lower",
          },
          {
            name: "longest time without a write, worst",
            unit: "s",
            value: Math.max(...writable),
            better: "lower",
          },
          { name: "slowest write, median", unit: "s", value: median(slowest), better: "lower" },
        ],
        checked: `${kills} kills under ${writers} writers; every acknowledged write is there`,
      };
    } finally {
      stopped = true;
      await nodes.close();
      await supervised.stop("at-once");
      await rm(folder, { recursive: true, force: true });
    }
  },
};

export default bench;

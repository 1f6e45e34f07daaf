/** A worker whose topic fails over under it, and loses the record of the batch that it is working on. */
import { afterEach, expect, test } from "vitest";
import { HoldfastError } from "../call/index.ts";
import { systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { type BatchHandler, inWorld } from "../parts/index.ts";
import type { TopicPort } from "../parts/topic/index.ts";
import { startTestPostgres, until } from "../testkit/index.ts";
import { loseDir } from "../testkit/lose-dir.ts";
import { consumeTopic } from "./consume.ts";
import tallying, { count, counts, events, tally } from "./fixtures/tally/parts.ts";
import { openWorld } from "./open-world.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type When = "before it is applied" | "before it is completed";

test.each<{ when: When; nodes: number }>([
  { when: "before it is applied", nodes: 1 },
  { when: "before it is completed", nodes: 1 },
  // The other node has lost nothing: it is handed the messages again under another number, and has to know them.
  { when: "before it is completed", nodes: 2 },
])(
  "a batch whose record is lost $when comes again, and counts once, with $nodes nodes",
  { timeout: 90_000 },
  async ({ when, nodes: nodeCount }) => {
    const postgres = await startTestPostgres({ replicas: 1, nodes: nodeCount });
    cleanups.push(() => postgres.stop());
    const [node] = postgres.nodes;
    if (!node) throw new Error("there is no node");
    const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "scene" });
    cleanups.push(() => nodes.close());
    await migrateDatabase(counts, nodes);
    const config = { name: "tallying", databases: { counts: postgres.config }, poolSize: 4 };
    const open = openWorld(tallying, config, { clock: systemClock, applicationName: "test" });
    cleanups.push(() => open.close());
    const { world } = open;

    // The worker is a member, and the messages are there; it asks for its first batch when it is told to.
    let joined = false;
    let ask = () => {};
    const told = new Promise<void>((resolve) => {
      ask = resolve;
    });
    const port = world.port(events);
    const topic: TopicPort = {
      ...port,
      heartbeat: async (...member) => {
        const claims = await port.heartbeat(...member);
        joined = true;
        return claims;
      },
      next: (...claim) => told.then(() => port.next(...claim)),
    };
    // On every shard, and therefore on every node.
    const codes = nodeCount === 1 ? ["kelp"] : Array.from({ length: 12 }, (_, n) => `kelp-${n}`);
    const each = 6;
    await inWorld(world, () =>
      events.publish(Array.from({ length: each }, () => codes.map((code) => ({ code }))).flat()),
    );

    const failOver = async () => {
      await loseDir(node.primary.dataDir);
      await node.failOver();
    };
    let failing: Promise<void> | undefined;
    let failedOver = false;
    const handler: BatchHandler<{ readonly code: string }> = async (batch) => {
      if (when === "before it is completed") await count(batch);
      failing ??= failOver();
      await failing;
      failedOver = true;
      if (when === "before it is applied") await count(batch);
    };
    const stopping = new AbortController();
    const errors: unknown[] = [];
    const running = consumeTopic({
      worker: tally,
      topic,
      handler,
      clock: systemClock,
      world,
      signal: stopping.signal,
      memberName: "tally-1",
      onError: (error) => errors.push(error),
    });
    cleanups.push(() => {
      stopping.abort();
      return running.catch(() => {});
    });
    await until(() => joined, { what: "the worker to join" });
    await postgres.caughtUp();
    // What is recorded from here on dies with the primary.
    await nodes.replica("node-1")?.use(async (session) => {
      await session.send({ text: "alter system set primary_conninfo to ''" });
      await session.send({ text: "select pg_reload_conf()" });
      await until(async () => {
        const { rows } = await session.send({ text: "select 1 from pg_stat_wal_receiver" });
        return rows.length === 0;
      });
    });
    ask();

    await until(async () => failedOver && (await topic.lag("tally").catch(() => 1n)) === 0n, {
      what: "all messages to be completed",
      timeoutMs: 40_000,
    });
    const all = inWorld(world, () => counts.shards());
    const rows = await Promise.all(
      all.map((shard) =>
        inWorld(world, () => shard.read("strong", (sql) => sql.selectFrom("tally").selectAll().execute())),
      ),
    );
    const counted = Object.fromEntries(rows.flat().map(({ code, n }) => [code, n]));
    expect(counted).toEqual(Object.fromEntries(codes.map((code) => [code, each])));
    const errorCodes = errors.map((error) => (error instanceof HoldfastError ? error.code : error));
    expect(errorCodes).toContain(
      when === "before it is applied" ? "HOLDFAST_WRITE_LOST" : "HOLDFAST_INPUT_INVALID",
    );
  },
);

/**
 * What atomicity costs: two rows written by two single writes, by one transaction on two shards of a node, and by one
 * on two nodes (two-phase commit), all on synchronously replicated servers; beside one single write.
 */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import type { Bench } from "./bench.ts";
import { nanosecondsEach } from "./side-by-side.ts";

interface Tables {
  link: { code: string; url: string; visits: number };
}

const links = database<Tables>("links", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 8 },
  nodes: 2,
  replicas: 1,
  replication: { mode: "synchronous", onReplicaLoss: "stall" },
});

const bench: Bench = {
  name: "cross-shard",
  title: "write rows of one shard, of two shards of a node, and of two nodes",
  async run(size) {
    await using postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 8, onDisk: true });
    const { config } = postgres;
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bench" });
    try {
      await migrateDatabase(links, nodes);
      for (const node of postgres.nodes) await node.setQuorum(1);
      const world = new World("bench", systemClock);
      world.bind(links, postgresDatabase(links, nodes, systemClock));
      return await inWorld(world, async () => {
        let drawn = 0;
        const written: string[] = [];
        /** A new code on that node, and on another shard than the code that it goes with. */
        const codeOn = (node: string, beside?: string) => {
          for (;;) {
            const code = `code-${++drawn}`;
            const { index } = links.at(code);
            if (
              config.shardMap.shards[index] === node &&
              (beside === undefined || index !== links.at(beside).index)
            ) {
              written.push(code);
              return code;
            }
          }
        };
        const row = (code: string) => ({ code, url: "https://example.com/", visits: 0 });
        const asCall = async (run: () => Promise<unknown>) => {
          using call = new Call(systemClock, { timeoutMs: 30_000 });
          await inCall(call, run);
        };
        const single = () => {
          const code = codeOn("node-1");
          return asCall(() =>
            links.at(code).write((tx) => tx.insertInto("link").values(row(code)).execute()),
          );
        };
        const pair = (other: string) => () => {
          const code = codeOn("node-1");
          const codes = [code, codeOn(other, code)];
          return asCall(() =>
            links.together(codes, (txs) =>
              Promise.all(codes.map((one) => txs.at(one).insertInto("link").values(row(one)).execute())),
            ),
          );
        };
        const many = (one: () => Promise<void>) => async (count: number) => {
          for (let index = 0; index < count; index++) await one();
        };
        const [operations, rounds] = size === "smoke" ? [8, 1] : [100, 5];
        const ns = await nanosecondsEach(
          { rounds, operations },
          { single: many(single), oneNode: many(pair("node-1")), twoNodes: many(pair("node-2")) },
        );
        const ms = (name: string, value: number, beside?: string) => ({
          name,
          unit: "ms",
          value: value / 1e6,
          better: "lower" as const,
          ...(beside === undefined ? {} : { peer: beside }),
        });
        let found = 0;
        for (const shard of links.shards())
          found += (await shard.read("strong", (sql) => sql.selectFrom("link").select("code").execute()))
            .length;
        if (found !== written.length) throw new Error(`wrote ${written.length} rows, found ${found}`);
        return {
          figures: [
            ms("one shard", ns.single),
            ms("two shards of one node", ns.oneNode, "one shard"),
            ms("two nodes", ns.twoNodes, "one shard"),
          ],
          checked: `${found} rows written, each found once`,
        };
      });
    } finally {
      await nodes.close();
    }
  },
};

export default bench;

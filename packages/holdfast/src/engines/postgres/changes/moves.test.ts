/** Shards that move while a feed is read, and nodes that fail over: once, and in order per key. */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { openReshard } from "../reshard/reshard.ts";
import { keysOf, ofKey, openFeed } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, syncSlots: true });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase({ shards: 2 });
});

test("what was written in the new place goes behind what the old one still has to tell", async () => {
  await using open = await openFeed(config, { nodes: 2, partitions: 1 });
  const [key] = keysOf(open);
  const relay = await open.relay();
  await relay.close();
  await open.write(key, `insert into item values ('${key}', 1)`);
  await using resharder = await openReshard(open.declared, config, { clock: systemClock });
  await resharder.move({ nodes: ["node-2"], shards: [0], keep: false });
  await open.write(key, `update item set n = 2 where id = '${key}'`);
  await open.relay();
  const all = await open.told((told) => ofKey(told, key).length >= 2);
  expect(ofKey(all, key)).toMatchObject([
    { op: "insert", node: "node-1", after: { n: 1 } },
    { op: "update", node: "node-2", after: { n: 2 } },
  ]);
});

test("a gap on a node is told of its shards, those that have left it included", async () => {
  await using open = await openFeed(config, { nodes: 2, partitions: 1 });
  const keys = keysOf(open);
  const relay = await open.relay();
  await relay.close();
  for (const key of keys) await open.write(key, `insert into item values ('${key}', 1)`);
  await using resharder = await openReshard(open.declared, config, { clock: systemClock });
  await resharder.move({ nodes: ["node-2"], shards: [0], keep: false });
  await open.on(
    "node-1",
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and slot_type = 'logical' and slot_name like 'holdfast_feed%'",
  );
  await open.relay();
  const all = await open.told((told) => told.some(({ op, shard }) => op === "snapshot-end" && shard === 0));
  expect(all.filter(({ op }) => op === "gap")).toMatchObject([{ shard: 0, node: "node-2" }]);
  expect(ofKey(all, keys[0])).toMatchObject([{ op: "snapshot", node: "node-2", after: { n: 1 } }]);
  expect(ofKey(all, keys[1])).toMatchObject([{ op: "insert", after: { n: 1 } }]);
});

/** Resolves when the first standby of a node keeps the slot of this test's feed. */
async function kept(node: number): Promise<void> {
  const database = config.nodes[node - 1]?.primary.database;
  const [replica] = postgres.nodes[node - 1]?.endpoints("postgres").replicas ?? [];
  await until(
    async () => {
      const client = new pg.Client({ ...replica });
      await client.connect();
      const { rowCount } = await client.query(
        "select from pg_replication_slots where slot_name like 'holdfast_feed%' and synced and not temporary and database = $1",
        [database],
      );
      await client.end();
      return (rowCount ?? 0) > 0;
    },
    { timeoutMs: 90_000, everyMs: 500, what: "the slot on the standby" },
  );
}

test("a failover keeps the place in the log: nothing is told twice, and nothing but what was lost is missing", async () => {
  await using open = await openFeed(config, { nodes: 2, partitions: 1 });
  const [key] = keysOf(open);
  await open.relay();
  await open.write(key, `insert into item values ('${key}', 1)`);
  await open.told((all) => all.length > 0);
  await kept(1);
  await postgres.caughtUp();
  await postgres.nodes[0]?.failOver();
  await until(() => open.write(key, `update item set n = 2 where id = '${key}'`).then(() => true), {
    timeoutMs: 30_000,
  });
  const all = await open.told((told) => ofKey(told, key).some(({ after }) => after?.n === 2));
  expect(ofKey(all, key).map(({ op }) => op)).toEqual(["insert", "update"]);
  expect(open.events.filter(({ kind }) => kind === "gap")).toEqual([]);
  await postgres.nodes[0]?.restartServer(0);
}, 120_000);

/** Debian's Postgres 15, the oldest that is supported: no failover slots, and origins are told instead of left out. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { openReshard } from "../reshard/reshard.ts";
import { openFeed } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ major: 15, nodes: 2, replicas: 1 });
});
afterAll(() => postgres?.stop());

test("a moved shard's copied rows are not told, and what is written there comes in order", async () => {
  const config = await postgres.freshDatabase({ shards: 2 });
  await using open = await openFeed(config, { nodes: 2, partitions: 1, from: "snapshot" });
  const key = Array.from({ length: 50 }, (_, n) => `key-${n}`).find(
    (name) => open.shardOf(name) === 0,
  ) as string;
  await open.write(key, `insert into item values ('${key}', 1)`);
  await open.relay();
  await open.told((all) => all.some(({ op, shard }) => op === "snapshot-end" && shard === 0));
  await using resharder = await openReshard(open.declared, config, { clock: systemClock });
  for (let n = 2; n <= 6; n += 2) {
    await open.write(key, `update item set n = ${n} where id = '${key}'`);
    const { node } = open.nodes.map.place(0);
    await resharder.move({ nodes: [node === "node-1" ? "node-2" : "node-1"], shards: [0], keep: false });
    await open.nodes.map.refresh();
    await open.write(key, `update item set n = ${n + 1} where id = '${key}'`);
  }
  const all = await open.told((told) => told.some((one) => "after" in one && one.after?.n === 7));
  const own = all.flatMap((one) => ("key" in one && one.key.id === key ? [one.after?.n] : []));
  expect(own).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(all.filter(({ op }) => op === "gap" || op === "truncate")).toEqual([]);
});

test("a failover takes the slot along: that is noticed, and every row that is there is told anew", async () => {
  const config = await postgres.freshDatabase({ shards: 2 });
  await using open = await openFeed(config, { nodes: 2, partitions: 1 });
  await open.relay();
  await open.on(0, "insert into item values ('a', 1)");
  await open.told((all) => all.length > 0);
  await postgres.caughtUp();
  const node = open.nodes.map.place(0).node;
  const running = postgres.nodes.find(({ name }) => name === node);
  await running?.failOver();
  await until(() => open.on(0, "update item set n = 2").then(() => true), { timeoutMs: 30_000 });
  const all = await open.told((told) => told.some(({ op, shard }) => op === "snapshot-end" && shard === 0));
  expect(all.find(({ op }) => op === "gap")).toMatchObject({
    shard: 0,
    reason: "the replication slot is gone",
  });
  expect(all.find(({ op }) => op === "snapshot")).toMatchObject({ after: { id: "a" } });
  expect(open.events.filter(({ kind }) => kind === "gap")).toMatchObject([{ node }]);
}, 120_000);

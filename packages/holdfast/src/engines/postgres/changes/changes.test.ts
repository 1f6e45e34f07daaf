/** A change feed on a real server: what is told of what was committed, once and in order. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import { openFeed, type Told } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const ofKey = (all: readonly Told[], id: string) =>
  all.filter((one) => "key" in one && (one.key as { id?: string }).id === id);

test("inserts, updates and deletes are told with their key, row, shard, place and time, in order per key", async () => {
  await using open = await openFeed(await postgres.freshDatabase());
  await open.write("before", "insert into item values ('before')");
  await open.relay();
  await open.write("a", "insert into item values ('a', 1, 'x')");
  await open.write("a", "update item set n = 2 where id = 'a'");
  await open.write("a", "delete from item where id = 'a'");
  await open.write("b", "insert into item values ('b', 7, null)");
  const all = await open.told((told) => told.length >= 4);
  expect(ofKey(all, "a")).toMatchObject([
    { op: "insert", table: "item", key: { id: "a" }, before: null, after: { id: "a", n: 1, body: "x" } },
    { op: "update", before: null, after: { id: "a", n: 2, body: "x" }, unchanged: [] },
    { op: "delete", before: { id: "a" }, after: null },
  ]);
  expect(ofKey(all, "b")).toMatchObject([
    { op: "insert", shard: open.shardOf("b"), node: "node-1", after: { n: 7, body: null } },
  ]);
  for (const one of all) {
    expect(one.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(one.at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(one.transaction).toMatch(/^\d+$/);
  }
  expect(all).toHaveLength(4);
});

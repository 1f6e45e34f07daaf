/** A change feed of a shard that moves and is taken back, under load. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { openReshard } from "../reshard/reshard.ts";
import { keysOf, type OpenFeed, ofKey, openFeed } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, syncSlots: true });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase({ shards: 2 });
});

/** Writers that count up, one for each key, until told to stop. */
function counting(open: OpenFeed, keys: readonly string[]) {
  let busy = true;
  const writers = keys.map(async (key) => {
    let n = 0;
    while (busy) {
      n++;
      await open.write(
        key,
        `insert into item values ('${key}', ${n}) on conflict (id) do update set n = ${n}`,
      );
    }
    return n;
  });
  return async () => {
    busy = false;
    return Promise.all(writers);
  };
}

test("a shard that moves and is taken back while it is written to is told once, in order, and its copies are not", async () => {
  await using open = await openFeed(config, { nodes: 2, partitions: 4 });
  const keys = keysOf(open);
  await open.relay();
  const stop = counting(open, keys);
  await using resharder = await openReshard(open.declared, config, { clock: systemClock });
  await until(async () => (await open.told(() => true)).length > 20);
  const [moved] = await resharder.move({ nodes: ["node-2"], shards: [0] });
  expect(moved).toMatchObject({ state: "kept", target: "node-2" });
  const [other] = await resharder.move({ nodes: ["node-1"], shards: [1] });
  expect(other).toMatchObject({ state: "kept", target: "node-1" });
  await resharder.back([0]);
  await resharder.finish();
  const last = await stop();
  const all = await open.told((told) =>
    keys.every((key, n) => ofKey(told, key).some(({ after }) => after?.n === last[n])),
  );
  for (const [n, key] of keys.entries()) {
    const values = ofKey(all, key).map(({ after }) => after?.n);
    expect(values, key).toEqual(Array.from({ length: last[n] as number }, (_, at) => at + 1));
  }
  expect(new Set(ofKey(all, keys[0]).map(({ node }) => node))).toEqual(new Set(["node-1", "node-2"]));
  expect(all.filter(({ op }) => op !== "insert" && op !== "update")).toEqual([]);
});

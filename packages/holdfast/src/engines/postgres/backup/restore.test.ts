/** What was backed up comes back: at the cut, at a time, to the end, over failovers and restores. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type BackedUpNodes, backedUpNodes } from "./fixtures/backed-up-nodes.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let world: BackedUpNodes;
beforeAll(async () => {
  world = await backedUpNodes(2);
  for (const index of [0, 1]) await world.ask(index, "create table item (id bigint primary key, text text)");
});
afterAll(() => world?.remove());

test("smoke", async () => {
  for (const node of world.nodes) await node.setArchive("default");
  await world.ask(0, "insert into item select g, md5(g::text) from generate_series(1, 10000) g");
  const taken = await world.backup();
  console.log(taken.dir, taken.bytes, JSON.stringify(taken.manifest.cut));
  await world.ask(0, "insert into item values (10001, 'after')");
  const between = Date.now();
  await sleep(5);
  await world.ask(0, "insert into item values (10002, 'later')");
  console.log(await world.nodes[0]?.archiveState());
  await world.stop();
  let restored = await world.restore(taken.dir, { target: { kind: "time", atMs: between } });
  console.log(JSON.stringify(restored.nodes, null, 1));
  await world.start();
  console.log(await world.ask(0, "select count(*), max(id) from item"));
  await world.stop();
  restored = await world.restore(taken.dir, { target: { kind: "cut", cut: taken.manifest.cut } });
  console.log(JSON.stringify(restored.nodes, null, 1));
  await world.start();
  console.log(await world.ask(0, "select count(*), max(id) from item"));
  await world.stop();
  restored = await world.restore(taken.dir, { target: { kind: "time", atMs: between + 3 } });
  console.log(JSON.stringify(restored.nodes, null, 1));
});

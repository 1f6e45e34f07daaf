/** Order per key through moves of a shard: what was published at the old place comes before what is at the new one. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { openReshard, type ReshardOptions } from "../reshard/reshard.ts";
import { countUp, numbers } from "./fixtures/counting.ts";
import { openShop, type Shop, type ShopOptions, shop } from "./fixtures/shop.ts";
import { OutboxRoute } from "./move-on.ts";
import { primarySessions } from "./relay.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
const shops: Shop[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase();
});
afterEach(async () => {
  for (const one of shops.splice(0).reverse()) await one.close();
});

const options: ReshardOptions = { clock: systemClock, patienceMs: 20_000 };

async function open(how: ShopOptions = {}): Promise<Shop> {
  const one = await openShop(config, how);
  shops.push(one);
  return one;
}

async function placeOf(one: Shop, customer: string) {
  const shard = one.within(() => shop.at(customer).index);
  await one.nodes.map.refresh();
  const { node } = one.nodes.map.place(shard);
  return { shard, node, other: node === "node-1" ? "node-2" : "node-1" };
}

/** The relay's route from a node, moved by hand. */
function routeFrom(one: Shop, node: string): OutboxRoute {
  return new OutboxRoute({
    database: "shop",
    node,
    nodes: one.nodes,
    destination: one.port.destination,
    home: primarySessions(one.home, one.home.home, systemClock),
    source: (name) => primarySessions(one.nodes, name, systemClock),
    clock: systemClock,
  });
}

async function drain(route: OutboxRoute): Promise<void> {
  while ((await route.moveBatch()) > 0);
}

const itemsOf = async (one: Shop) => (await one.delivered()).map(({ value }) => value.item);

test("what the new node has of a shard waits for the old one's, others pass, and so do further moves", async () => {
  const one = await open({ relays: false });
  const { shard, node, other } = await placeOf(one, "ada");
  const neighbour = ["a", "b", "c", "d", "e", "f"].find(
    (name) => one.nodes.map.place(one.within(() => shop.at(name).index)).node === other,
  ) as string;
  await countUp(one, "ada", 3);
  await using resharder = await openReshard(shop, config, options);
  await resharder.move({ nodes: [other], shards: [shard] });
  await countUp(one, "ada", 2);
  await one.buy(neighbour, "passes");
  await resharder.back([shard]);
  await countUp(one, "ada", 2);
  await resharder.finish();

  // The old node's relay is slow: the new one's puts aside what came with the shard, and goes on.
  const [from, to] = [routeFrom(one, node), routeFrom(one, other)];
  await drain(to);
  expect(await itemsOf(one)).toEqual(["passes"]);
  expect(to.holds).toBe(true);
  expect(await to.releaseHeld()).toBe(0);
  // First place and third are on one node: the third waits for the second, which waits for the first.
  await drain(from);
  expect(await itemsOf(one)).toEqual(numbers(3));
  expect(from.holds).toBe(true);
  expect(await from.releaseHeld()).toBe(0);
  expect(await to.releaseHeld()).toBe(2);
  expect(await from.releaseHeld()).toBe(2);
  expect(await itemsOf(one)).toEqual(numbers(4, 4));
  expect([from.holds, to.holds]).toEqual([false, false]);
  await countUp(one, "ada");
  await drain(from);
  expect(await itemsOf(one)).toEqual(["8"]);
});

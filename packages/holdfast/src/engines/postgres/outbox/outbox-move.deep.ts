/** The outbox of shards that move there and back, under load. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { openReshard, type ReshardOptions } from "../reshard/reshard.ts";
import { countUp, numbers, settled, sorted } from "./fixtures/counting.ts";
import { bought, openShop, type Shop, type ShopOptions, shop } from "./fixtures/shop.ts";

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

test("under load, there and back again, nothing is lost, doubled or out of order", async () => {
  const [one, two] = [await open(), await open()];
  const { shard, node, other } = await placeOf(one, "ada");
  let done = false;
  const counted = new Map<string, number>();
  const customers = ["ada", "grace"];
  const writers = [one, two].flatMap((from) =>
    customers.map(async (customer) => {
      while (!done) {
        await countUp(from, customer);
        counted.set(customer, (counted.get(customer) ?? 0) + 1);
      }
    }),
  );
  // Transactions that touch no table of the shard are turned away by the fence, too.
  let published = 0;
  writers.push(
    (async () => {
      while (!done) {
        const item = `only ${++published}`;
        await two.within(() =>
          shop.at("ada").write(async (tx) => {
            await bought.publish({ customer: `${shard}-only`, item }, { in: tx });
          }),
        );
      }
    })(),
  );
  {
    await using resharder = await openReshard(shop, config, options);
    await resharder.move({ nodes: [other], shards: [shard] });
    await resharder.back([shard]);
    await resharder.finish();
  }
  done = true;
  await Promise.all(writers);
  const items = new Map<string, string[]>();
  const total = () => [...items.values()].reduce((sum, list) => sum + list.length, 0);
  const expected = new Map<string, string[]>(
    customers.map((name) => [name, numbers(counted.get(name) ?? 0)]),
  );
  expected.set(
    `${shard}-only`,
    numbers(published).map((n) => `only ${n}`),
  );
  const wanted = [...expected.values()].reduce((sum, list) => sum + list.length, 0);
  await until(
    async () => {
      for (const { value } of await one.delivered())
        items.set(value.customer, [...(items.get(value.customer) ?? []), value.item]);
      return total() >= wanted;
    },
    { what: `${wanted} messages`, timeoutMs: 60_000 },
  );
  for (const [customer, list] of await settled(one))
    items.set(customer, [...(items.get(customer) ?? []), ...list]);
  expect(sorted(items)).toEqual(sorted(expected));
  expect((await placeOf(one, "ada")).node).toBe(node);
});

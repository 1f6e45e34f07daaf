/** The outbox when servers crash, or are replaced by others that have less: at the source, and at the topic's home. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import type { RunningNode } from "../embedded/index.ts";
import { openDatabaseNodes } from "../nodes.ts";
import { countUp, numbers, settled } from "./fixtures/counting.ts";
import { openShop, type Shop, type ShopOptions, shop } from "./fixtures/shop.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
const shops: Shop[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase();
});
afterEach(async () => {
  for (const one of shops.splice(0).reverse()) await one.close();
});

async function open(how: ShopOptions = {}): Promise<Shop> {
  const one = await openShop(config, how);
  shops.push(one);
  return one;
}

const nodeNamed = (name: string) => postgres.nodes.find((node) => node.name === name) as RunningNode;
const customerOn = (one: Shop, node: string) =>
  ["a", "b", "c", "d", "e", "f"].find(
    (name) => one.nodes.map.place(one.within(() => shop.at(name).index)).node === node,
  ) as string;

/** What is written on the node from here on dies with its primary. */
async function cutOff(node: string): Promise<void> {
  await postgres.caughtUp();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "cut", poolSize: 1 });
  await nodes.replica(node)?.use(async (session) => {
    await session.send({ text: "alter system set primary_conninfo to ''" });
    await session.send({ text: "select pg_reload_conf()" });
    const ended = async () =>
      (await session.send({ text: "select from pg_stat_wal_receiver" })).rowCount === 0;
    await until(ended, { what: "the end of streaming" });
  });
  await nodes.close();
}

/** The replica takes over, and gets a replica of its own. */
async function failOver(node: string): Promise<void> {
  await nodeNamed(node).failOver();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "heal", poolSize: 1 });
  // Its next replica is a copy of it, and is to stream again.
  await nodes.primary(node).use((session) => session.send({ text: "alter system reset primary_conninfo" }));
  await nodes.close();
  await nodeNamed(node).restartServer(0);
}

/** All that the topic has of a customer, as a consumer that is new finds it. */
async function logOf(one: Shop, customer: string, consumer: string): Promise<string[]> {
  const messages = await one.delivered(consumer);
  return messages.flatMap(({ value }) => (value.customer === customer ? [value.item] : []));
}

test("a source that fails over with rows that were not moved yet has them moved, once and in order", async () => {
  const one = await open({ relays: false });
  const customer = customerOn(one, "node-2");
  for (let i = 0; i < 20; i++) await countUp(one, customer);
  await postgres.caughtUp();
  await failOver("node-2");
  for (let i = 0; i < 5; i++) await countUp(one, customer);
  const other = await open();
  expect((await settled(other)).get(customer)).toEqual(numbers(25));
});

test("a source that fails over and loses its end: what was moved stays, what is new comes once, nothing else again", async () => {
  const one = await open();
  const customer = customerOn(one, "node-2");
  for (let i = 0; i < 20; i++) await countUp(one, customer);
  expect((await settled(one)).get(customer)).toEqual(numbers(20));
  await cutOff("node-2");
  for (let i = 0; i < 10; i++) await countUp(one, customer);
  expect((await settled(one)).get(customer)).toEqual(numbers(10, 21));
  await failOver("node-2");
  // The numbers that were lost are taken again, by transactions with ids and positions that had been given out.
  for (let i = 0; i < 12; i++) await countUp(one, customer);
  expect((await settled(one)).get(customer)).toEqual(numbers(12, 21));
  for (let i = 0; i < 3; i++) await countUp(one, customer);
  expect((await settled(one)).get(customer)).toEqual(numbers(3, 33));
});

test("a home that fails over and loses what was moved gets it again, and each message is there once", async () => {
  const one = await open();
  const customer = customerOn(one, "node-2");
  for (let i = 0; i < 20; i++) await countUp(one, customer);
  await settled(one);
  await cutOff("node-1");
  for (let i = 0; i < 10; i++) await countUp(one, customer);
  await until(async () => (await logOf(one, customer, "reader")).includes("30"), { what: "all to be moved" });
  await failOver("node-1");
  const found: string[] = [];
  const look = (last: string) => async () => {
    found.push(...(await logOf(one, customer, "newcomer").catch(() => [])));
    return found.includes(last);
  };
  // Also when nothing new is published.
  await until(look("30"), { what: "what was lost to be there again", timeoutMs: 30_000 });
  for (let i = 0; i < 10; i++) await countUp(one, customer);
  await until(look("40"), { what: "what is new", timeoutMs: 30_000 });
  expect(found).toEqual(numbers(40));
});

test("a source or a home that crashes and comes back goes on where it was", async () => {
  const one = await open();
  const customer = customerOn(one, "node-2");
  let done = false;
  let count = 0;
  const writing = (async () => {
    while (!done) {
      await countUp(one, customer);
      count++;
    }
  })();
  for (const name of ["node-2", "node-1", "node-2"]) {
    const before = count;
    await until(() => count > before + 5, { what: "writes" });
    const node = nodeNamed(name);
    const { exited } = node.primary;
    node.primary.kill("SIGQUIT");
    await exited;
    await node.restartServer("primary");
  }
  const before = count;
  await until(() => count > before + 5, { what: "writes" });
  done = true;
  await writing;
  const found: string[] = [];
  const look = async () => {
    found.push(...(await logOf(one, customer, "reader").catch(() => [])));
    return found.includes(String(count));
  };
  await until(look, { what: "all that was written", timeoutMs: 30_000 });
  expect(found).toEqual(numbers(count));
});

test("a source that is away holds up no other", async () => {
  const one = await open();
  const [here, there] = [customerOn(one, "node-1"), customerOn(one, "node-2")];
  await countUp(one, there);
  await settled(one);
  const node = nodeNamed("node-2");
  const { exited } = node.primary;
  node.primary.kill("SIGQUIT");
  await exited;
  for (let i = 0; i < 5; i++) await countUp(one, here);
  const found: string[] = [];
  await until(async () => found.push(...(await logOf(one, here, "reader"))) >= 5, { what: "the others" });
  expect(found).toEqual(numbers(5));
  await node.restartServer("primary");
  await countUp(one, there);
  expect((await settled(one)).get(there)).toEqual(["2"]);
});

/** What is published in a transaction on several shards: on one node, and across nodes by two-phase commit. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { inWorld, World } from "../../../parts/index.ts";
import { until } from "../../../testkit/index.ts";
import { type Bank, openBank } from "../fixtures/cross-shard-bank.ts";
import { type PostgresTopic, postgresTopic } from "../topic.ts";
import { bought } from "./fixtures/shop.ts";
import { type OutboxRelay, startOutboxRelay } from "./relay.ts";

let bank: Bank;
let world: World;
let port: PostgresTopic;
let relay: OutboxRelay;

beforeAll(async () => {
  bank = await openBank();
  world = new World("test", systemClock);
  world.bind(bank.declaration, bank.port as never);
  port = postgresTopic(bought as never, bank.nodes, systemClock);
  world.bind(bought, port);
  relay = startOutboxRelay({
    databases: [{ name: "bank", nodes: bank.nodes }],
    destinations: [port.destination],
    clock: systemClock,
  });
});
afterAll(async () => {
  await relay?.stop();
  await port?.close();
  await bank?.close();
});

/** The next so many messages, as `customer item`, by customer and in order. */
async function next(count: number): Promise<string[]> {
  const claims = await port.heartbeat("reader", "reader", 600_000);
  const found: string[] = [];
  const look = async () => {
    for (const claim of claims) {
      const batch = await port.next(claim, 100);
      if (!batch) continue;
      found.push(...batch.messages.map(({ value }) => Object.values(value as object).join(" ")));
      await port.complete(claim, batch.sequence);
    }
    return found.length >= count;
  };
  await until(look, { what: `${count} messages` });
  return found.sort();
}

const publishAll = (keys: readonly string[], item: string, fail = false) =>
  inWorld(world, () =>
    bank.declaration.together(keys, async (txs) => {
      for (const customer of keys) {
        await txs
          .at(customer)
          .insertInto("account")
          .values({ owner: `${customer} ${item}`, cents: 1 })
          .execute();
        await bought.publish({ customer, item }, { in: txs.at(customer) });
      }
      if (fail) throw new Error("no");
    }),
  );

test("commits with all of them, or not at all, whatever nodes they are on", async () => {
  const across = ["a", "b", "c"].map((node) => bank.keyOn(node));
  const near = [1, 2, 3, 4].map((number) => bank.keyOn("a", number));
  expect(new Set(near.map((key) => bank.port.shardOf(key))).size).toBeGreaterThan(1);
  for (const keys of [across, near]) {
    await expect(publishAll(keys, "never", true)).rejects.toThrow("no");
    await publishAll(keys, "kelp");
    expect(await next(keys.length)).toEqual(keys.map((key) => `${key} kelp`).sort());
  }
  expect(await bank.left()).toEqual({ prepared: 0, decisions: expect.any(Number) });
});

test("one that is refused by a participant is undone on all of them, with what it published", async () => {
  const keys = ["a", "b"].map((node) => bank.keyOn(node));
  const [first, second] = keys as [string, string];
  const refused = inWorld(world, () =>
    bank.declaration.together(keys, async (txs) => {
      await bought.publish({ customer: first, item: "never" }, { in: txs.at(first) });
      await bought.publish({ customer: second, item: "never" }, { in: txs.at(second) });
      await txs.at(second).insertInto("account").values({ owner: "poor", cents: -1 }).execute();
    }),
  );
  await expect(refused).rejects.toMatchObject({ code: "HOLDFAST_SQL_CONFLICT" });
  await publishAll(keys, "after");
  expect(await next(2)).toEqual(keys.map((key) => `${key} after`).sort());
});

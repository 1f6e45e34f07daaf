import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { systemClock } from "../clock/index.ts";
import { migrateDatabase } from "../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { inWorld, type World } from "../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import tallying, { counts, events } from "./fixtures/tally/parts.ts";
import { openWorld } from "./open-world.ts";
import { type SubscribeOptions, subscribe } from "./subscribe.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function scene(): Promise<World> {
  const database = await postgres.freshDatabase({ shards: 4 });
  const nodes = openDatabaseNodes(database, { clock: systemClock, applicationName: "migrate" });
  await migrateDatabase(counts, nodes);
  await nodes.close();
  const config = { name: "tallying", databases: { counts: database }, poolSize: 6 };
  const open = openWorld(tallying, config, { clock: systemClock, applicationName: "test" });
  cleanups.push(() => open.close());
  return open.world;
}

function listening(world: World, options: SubscribeOptions = {}) {
  const got: string[] = [];
  const stop = new AbortController();
  const done = inWorld(world, async () => {
    for await (const { value } of subscribe(events, { ...options, signal: stop.signal }))
      got.push(value.code);
  });
  cleanups.push(() => {
    stop.abort();
    return done;
  });
  return { got, stop, done };
}

const publish = (world: World, ...codes: string[]) =>
  inWorld(world, () => events.publish(codes.map((code) => ({ code }))));
const groups = (world: World) => inWorld(world, () => events.consumers());
const allJoined = (world: World, count: number) =>
  until(
    async () => {
      const all = await groups(world);
      return all.length === count && all.every(({ members }) => members.length > 0);
    },
    { what: `${count} groups`, timeoutMs: 20_000 },
  );

test("members of a group share the messages; each subscription without one gets all, from now on, and leaves nothing", async () => {
  const world = await scene();
  await publish(world, "before");
  const members = [listening(world, { group: "shared" }), listening(world, { group: "shared" })];
  const broadcast = [listening(world), listening(world)];
  await allJoined(world, 3);
  const codes = Array.from({ length: 20 }, (_, n) => `code-${n}`);
  await publish(world, ...codes);
  await until(() => broadcast.every(({ got }) => got.length === 20), { what: "everybody to get all" });
  await until(() => members.flatMap(({ got }) => got).length === 21, { what: "the group to get all" });
  for (const { got } of broadcast) expect([...got].sort()).toEqual([...codes].sort());
  expect(members.flatMap(({ got }) => got).sort()).toEqual(["before", ...codes].sort());
  for (const { stop, done } of [...members, ...broadcast]) {
    stop.abort();
    await done;
  }
  const left = await groups(world);
  expect(left).toMatchObject([{ name: "shared", messages: 0, ephemeral: false, deadLetters: 0 }]);
});

test("who leaves the loop in the middle gets again what was not dealt with, and nothing counts against it", async () => {
  const world = await scene();
  await publish(world, ...Array.from({ length: 6 }, () => "k"));
  const seen: bigint[] = [];
  const leaveAfter = (count: number) =>
    inWorld(world, async () => {
      for await (const { id } of subscribe(events, { group: "leaving", batch: 2 })) {
        seen.push(id);
        if (seen.length >= count) break;
      }
    });
  await leaveAfter(3);
  await leaveAfter(7);
  // The third was in hand when the loop was left, and comes again.
  expect(seen.map(String)).toEqual(["1", "2", "3", "3", "4", "5", "6"]);
});

test("what cannot be subscribed to is refused with every problem at once", async () => {
  const world = await scene();
  expect(() =>
    inWorld(world, () => subscribe(events, { group: "Bad", only: ["a..b"], batch: 0, leaseMs: 1 })),
  ).toThrow(/5 problems/);
});

/** Relays that end, are paused, and find that their place in the log is gone: nothing lost, nothing twice. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { type OpenFeed, openFeed, type Told } from "./fixtures/open-feed.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const idsOf = (all: readonly Told[], op: Told["op"]) =>
  all.flatMap((one) => (one.op === op && "key" in one ? [String(one.key.id)] : []));

const add = (open: OpenFeed, from: number, to: number) =>
  open.on(0, `insert into item select 'k' || n, n from generate_series(${from}, ${to}) n`);

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `k${from + n}`);

const slots = (open: OpenFeed) =>
  open.nodes.primary("node-1").use(async (session) => {
    const { rows } = await session.send<{ name: string; active: boolean; confirmed: string }>({
      text: `select slot_name as name, active, confirmed_flush_lsn::text as confirmed from pg_replication_slots
        where database = current_database()`,
    });
    return rows;
  });

test("a relay goes on where the last one ended, whatever was committed meanwhile", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 1 });
  for (let n = 0; n < 3; n++) {
    const relay = await open.relay();
    await add(open, n * 100 + 1, n * 100 + 50);
    if (n % 2 === 0) await open.told((all) => all.length >= n * 100 + 50);
    await relay.close();
    await add(open, n * 100 + 51, n * 100 + 100);
  }
  await open.relay();
  const all = await open.told((told) => told.length >= 300);
  expect(idsOf(all, "insert")).toEqual(numbers(1, 300));
  expect(open.events.filter(({ kind }) => kind === "gap")).toEqual([]);
});

test("the server may crash under it", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 1 });
  await open.relay();
  await add(open, 1, 3000);
  const [node] = postgres.nodes;
  await node?.killPrimary();
  await node?.restartServer("primary");
  await until(() => add(open, 3001, 3010).then(() => true));
  const all = await open.told((told) => told.length >= 3010);
  expect(idsOf(all, "insert")).toEqual(numbers(1, 3010));
  expect(open.events.filter(({ kind }) => kind === "gap")).toEqual([]);
});

test("of two relays one reads, and the other takes over when that one ends", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 1 });
  const first = await open.relay();
  const second = open.relay();
  await add(open, 1, 20);
  await open.told((all) => all.length >= 20);
  await open.event((event) => event.kind === "trouble" && event.problem.includes("another relay"));
  await first.close();
  await (await second).established;
  await add(open, 21, 40);
  const all = await open.told((told) => told.length >= 40);
  expect(idsOf(all, "insert")).toEqual(numbers(1, 40));
});

test("a slot that was dropped is noticed: a gap is told, every row that is there anew, and then what follows", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 2 });
  const relay = await open.relay();
  await add(open, 1, 10);
  await open.told((all) => all.length >= 10);
  await relay.close();
  await until(async () => (await slots(open)).every(({ active }) => !active));
  await open.on(
    0,
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
  );
  await open.on(0, "delete from item where id = 'k3'");
  await add(open, 11, 12);
  await open.relay();
  await open.told((all) => all.filter(({ op }) => op === "snapshot-end").length === 2);
  await add(open, 13, 13);
  const all = await open.told((told) => idsOf(told, "insert").includes("k13"));
  const behind = all.slice(all.findIndex(({ op }) => op === "gap"));
  expect(behind.filter(({ op }) => op === "gap")).toMatchObject([
    { shard: 0, reason: "the replication slot is gone" },
    { shard: 0, reason: "the replication slot is gone" },
  ]);
  expect(idsOf(behind, "snapshot").sort()).toEqual(
    numbers(1, 12)
      .filter((id) => id !== "k3")
      .sort(),
  );
  expect(idsOf(behind, "insert")).toEqual(["k13"]);
  expect(open.events.filter(({ kind }) => kind === "gap")).toMatchObject([
    { node: "node-1", shards: [0], error: { code: "HOLDFAST_CHANGES_GAP" } },
  ]);
});

test("a slot that was made anew under its name, behind what is stored, is not taken for the old one", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), { partitions: 1 });
  const relay = await open.relay();
  await add(open, 1, 3);
  await open.told((all) => all.length >= 3);
  await relay.close();
  await until(async () => (await slots(open)).every(({ active }) => !active));
  const name = (await slots(open))[0]?.name;
  await open.on(0, `select pg_drop_replication_slot('${name}')`);
  await add(open, 4, 4);
  await open.on(0, `select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  await open.relay();
  const all = await open.told((told) => told.some(({ op }) => op === "snapshot-end"));
  expect(idsOf(all, "snapshot")).toEqual(numbers(1, 4));
  expect(all.find(({ op }) => op === "gap")).toMatchObject({
    reason: expect.stringMatching(/the slot begins at/),
  });
});

test("an idle feed does not hold the server's log: what concerns others is confirmed too", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }));
  await open.relay();
  const [before] = await slots(open);
  await open.on(0, "create table other (n int);;insert into other select generate_series(1, 20000)");
  await until(async () => (await slots(open))[0]?.confirmed !== before?.confirmed, {
    timeoutMs: 25_000,
    what: "confirmation",
  });
  expect(await open.told(() => true)).toEqual([]);
});

test("a log that nobody consumes is filled up to its bound; with a consumer the feed goes on", async () => {
  await using open = await openFeed(await postgres.freshDatabase({ shards: 1 }), {
    partitions: 1,
    backlogBytesMax: 1 << 20,
  });
  const relay = await open.relay();
  await open.told(() => true); // the consumer is known from now on
  await open.on(0, "insert into item select 'b' || n, n, repeat('x', 1000) from generate_series(1, 2000) n");
  await until(async () => (await relay.status())[0]?.told === 2000);
  await relay.close();
  const next = await open.relay();
  await open.event(
    (event) => event.kind === "trouble" && event.problem.includes('wait for consumer "reader"'),
  );
  await open.on(0, "insert into item values ('behind')");
  expect(await next.status()).toMatchObject([{ state: "waiting", told: 0 }]);
  const all = await open.told((told) => idsOf(told, "insert").includes("behind"));
  expect(idsOf(all, "insert")).toHaveLength(2001);
});

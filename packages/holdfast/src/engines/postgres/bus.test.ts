import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { InvalidationBus, InvalidationListener } from "../../parts/cache/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { busDefaults, postgresInvalidationBus } from "./bus.ts";
import { busInstall, busRowsMax } from "./bus-sql.ts";
import type { DatabaseConfig } from "./config.ts";
import { installFramework } from "./install.ts";
import { openDatabaseNodes } from "./nodes.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2 });
});
afterAll(() => postgres?.stop());

async function freshBus(timings = {}) {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bus-test" });
  await installFramework(nodes, [busInstall]);
  await nodes.close();
  const bus = postgresInvalidationBus({ config }, systemClock, timings);
  await until(() => bus.lastSyncMs() !== undefined, { what: "first contact with the bus" });
  return { config, bus };
}

function listen(bus: InvalidationBus, cache = "hot") {
  const heard: { key: string; node: string; lsn: bigint }[] = [];
  const gaps = { count: 0 };
  const listener: InvalidationListener = {
    invalidated: (keys, node, position) =>
      void heard.push(...keys.map((key) => ({ key, node, lsn: position.lsn }))),
    gap: () => void gaps.count++,
  };
  const stop = bus.subscribe(cache, listener);
  return { heard, gaps, stop, keys: () => heard.map((one) => one.key) };
}

function onNode(config: DatabaseConfig, node: number) {
  const endpoint = config.nodes[node]?.primary;
  return new Kysely<never>({ dialect: new PostgresDialect({ pool: new pg.Pool({ ...endpoint, max: 4 }) }) });
}

test("a word written in a transaction is heard from whichever node it commits on", async () => {
  const { config, bus } = await freshBus();
  const { heard } = listen(bus);
  for (const node of [0, 1]) {
    const db = onNode(config, node);
    await db.transaction().execute((tx) => bus.publish("hot", [`on-${node}`], tx));
    await db.destroy();
  }
  await until(() => heard.length === 2, { what: "both words" });
  expect(heard.map(({ key, node }) => [key, node]).sort()).toEqual([
    ["on-0", "node-1"],
    ["on-1", "node-2"],
  ]);
  await bus.close();
});

test("a word may be written in a transaction of any of the databases that the bus reads", async () => {
  const configs = [await postgres.freshDatabase(), await postgres.freshDatabase()];
  for (const config of configs) {
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bus-test" });
    await installFramework(nodes, [busInstall]);
    await nodes.close();
  }
  const bus = postgresInvalidationBus(
    configs.map((config) => ({ config })),
    systemClock,
  );
  await until(() => bus.lastSyncMs() !== undefined, { what: "first contact" });
  const { keys } = listen(bus);
  for (const [index, config] of configs.entries()) {
    const db = onNode(config, 0);
    await db.transaction().execute((tx) => bus.publish("hot", [`in-${index}`], tx));
    await db.destroy();
  }
  await until(() => keys().length === 2, { what: "both words" });
  expect(keys().sort()).toEqual(["in-0", "in-1"]);
  await bus.close();
});

test("the position of a word is not before the commit that carried it", async () => {
  const { config, bus } = await freshBus();
  const { heard } = listen(bus);
  const db = onNode(config, 0);
  await db.transaction().execute(async (tx) => {
    await bus.publish("hot", ["a"], tx);
    // Log that the transaction writes after the word: the position at insertion would be before it.
    await sql`create table filler as select repeat('x', 1000) from generate_series(1, 500)`.execute(tx);
  });
  const { rows } = await sql<{ lsn: string }>`
    select (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text as lsn`.execute(db);
  await until(() => heard.length === 1, { what: "the word" });
  expect(heard[0]?.lsn).toBeGreaterThanOrEqual(BigInt(rows[0]?.lsn ?? 0));
  await db.destroy();
  await bus.close();
});

test("many words at once are all heard, each once, by the caches they are for", async () => {
  const { config, bus } = await freshBus();
  const other = postgresInvalidationBus({ config }, systemClock);
  await until(() => other.lastSyncMs() !== undefined, { what: "first contact" });
  const hot = listen(other);
  const cold = listen(other, "cold");
  const keys = Array.from({ length: 200 }, (_, i) => `key-${i}`);
  await Promise.all(keys.map((key) => bus.publish("hot", [key])));
  await until(() => hot.heard.length >= 200, { what: "all words" });
  expect(hot.keys().sort()).toEqual([...keys].sort());
  expect(cold.heard).toEqual([]);
  await Promise.all([bus.close(), other.close()]);
});

test("whoever publishes wakes the others: they need not wait for their next poll", async () => {
  const slow = { pollMs: 3_600_000 };
  const { config, bus } = await freshBus(slow);
  const other = postgresInvalidationBus({ config }, systemClock, slow);
  await until(() => other.lastSyncMs() !== undefined, { what: "first contact" });
  const { keys } = listen(other);
  await bus.publish("hot", ["plain"]);
  await until(() => keys().includes("plain"), { what: "the plain word" });
  const db = onNode(config, 1);
  await db.transaction().execute((tx) => bus.publish("hot", ["in tx"], tx));
  await until(() => keys().includes("in tx"), { what: "the word of the transaction" });
  await db.destroy();
  await Promise.all([bus.close(), other.close()]);
});

test("a connection that breaks is a gap, and the bus goes on over a new one", async () => {
  const { config, bus } = await freshBus();
  const { gaps, keys } = listen(bus);
  const db = onNode(config, 0);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'holdfast-bus' and datname = current_database()`.execute(db);
  await until(() => gaps.count === 1, { what: "the gap" });
  await bus.publish("hot", ["after"]);
  await until(() => keys().includes("after"), { what: "the word after the break" });
  await db.destroy();
  await bus.close();
});

test("a server that stands still is silence, and after it a gap", async () => {
  const { config, bus } = await freshBus({ answerMsMax: 300 });
  const { gaps } = listen(bus);
  const db = onNode(config, 0);
  const { rows } = await sql<{ pid: number }>`select pid from pg_stat_activity
    where application_name = 'holdfast-bus' and datname = current_database()`.execute(db);
  const pid = rows[0]?.pid as number;
  process.kill(pid, "SIGSTOP");
  try {
    // The fault works: the reader hears nothing any more, until it gives the connection up.
    await until(() => gaps.count === 1, { what: "the gap" });
    await bus.publish("hot", ["after"]);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await db.destroy();
  await bus.close();
});

test("old rows go, and no reader that keeps up takes that for a gap", async () => {
  const { config, bus } = await freshBus({ retentionMs: 1, sweepMs: 1, pollMs: 10 });
  const { gaps, keys } = listen(bus);
  const db = onNode(config, 0);
  const count = async () =>
    Number((await sql<{ n: string }>`select count(*) n from holdfast.invalidation`.execute(db)).rows[0]?.n);
  await bus.publish("hot", ["a", "b"]);
  await until(() => keys().length === 2, { what: "the words" });
  await until(async () => (await count()) === 0, { what: "the clean-up" });
  expect(gaps.count).toBe(0);
  await db.destroy();
  await bus.close();
});

test("a reader that slept through the retention is told that it may have missed words", async () => {
  const sleeper = { pollMs: 3_600_000 };
  const { config, bus } = await freshBus(sleeper);
  const { gaps, keys } = listen(bus);
  const sweeper = postgresInvalidationBus({ config }, systemClock, {
    retentionMs: 1,
    sweepMs: 1,
    pollMs: 10,
  });
  const db = onNode(config, 0);
  // Written without a wake-up, and cleared away before the sleeper looks.
  await sql`insert into holdfast.invalidation (cache, keys) values ('hot', '{missed}')`.execute(db);
  const gone = sql<{ gone: boolean }>`select not exists (select from holdfast.invalidation) as gone`;
  await until(async () => (await gone.execute(db)).rows[0]?.gone, { what: "the clean-up" });
  await sweeper.close();
  expect([gaps.count, keys()]).toEqual([0, []]);
  await sql`notify holdfast_invalidation`.execute(db);
  await until(() => gaps.count === 1, { what: "the gap" });
  await db.destroy();
  await bus.close();
});

test("a transaction that stays open for longer than the retention is neither lost nor taken for a gap", async () => {
  const { config, bus } = await freshBus({ retentionMs: 1, sweepMs: 1, pollMs: 10 });
  const { gaps, keys } = listen(bus);
  const db = onNode(config, 0);
  await db.transaction().execute(async (tx) => {
    await bus.publish("hot", ["late"], tx);
    for (let i = 0; i < 5; i++) {
      await bus.publish("hot", [`other-${i}`]);
      await until(() => keys().includes(`other-${i}`), { what: "another word" });
      const syncedMs = bus.lastSyncMs() ?? 0;
      await until(() => (bus.lastSyncMs() ?? 0) > syncedMs, { what: "another look" });
    }
  });
  await until(() => keys().includes("late"), { what: "the late word" });
  expect(gaps.count).toBe(0);
  await db.destroy();
  await bus.close();
});

test("a flood of words is a gap rather than a long list", async () => {
  const { config, bus } = await freshBus();
  const { gaps } = listen(bus);
  const db = onNode(config, 0);
  await sql`insert into holdfast.invalidation (cache, keys)
    select 'hot', array['k' || i] from generate_series(1, ${busRowsMax + 1}::int) i`.execute(db);
  await until(() => gaps.count === 1, { what: "the gap" });
  await db.destroy();
  await bus.close();
});

test("publishing stops at the call's deadline, and says whether the word may have been written", async () => {
  const config = await postgres.freshDatabase();
  // No tables: the reader never gets through, so nothing is ever sent.
  const bus = postgresInvalidationBus({ config }, systemClock);
  const call = new Call(systemClock, { timeoutMs: 50 });
  await expect(inCall(call, () => bus.publish("hot", ["a"]))).rejects.toMatchObject({
    name: "HoldfastError",
  });
  expect(bus.lastSyncMs()).toBeUndefined();
  await bus.close();
});

test("closing twice is fine, leaves no connection, and refuses what comes after", async () => {
  const { config, bus } = await freshBus();
  await Promise.all([bus.close(), bus.close()]);
  await expect(bus.publish("hot", ["a"])).rejects.toMatchObject({
    code: "HOLDFAST_UNAVAILABLE",
    outcome: "not-applied",
  });
  const db = onNode(config, 0);
  await until(
    async () => {
      const { rows } = await sql<{ n: number }>`select count(*)::int n from pg_stat_activity
        where application_name = 'holdfast-bus' and datname = current_database()`.execute(db);
      return rows[0]?.n === 0;
    },
    { what: "no connection left" },
  );
  await db.destroy();
});

test("the defaults keep rows far longer than any reader may be silent before its entries are not trusted", () => {
  expect(busDefaults.retentionMs).toBeGreaterThan(100 * busDefaults.answerMsMax);
});

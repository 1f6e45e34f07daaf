import { afterAll, beforeAll, expect, test } from "vitest";
import { manualClock, systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { drawMarker, type Marker, maintainMarkers, settleMarker } from "./marker.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { patienceOf } from "./pool-lease.ts";
import type { PgSession } from "./session.ts";

const declaration = database<never>("markers", { shards: { count: 2 } });
let postgres: TestPostgres;
let nodes: DatabaseNodes;
beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 2 });
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "marker" });
  await migrateDatabase(declaration, nodes);
});
afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
});

const change = (text: string) =>
  nodes.primary(nodes.home).use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text });
    await session.send({ text: "commit" });
  });
const count = async (where = "true") => {
  const { rows } = await nodes
    .primary(nodes.home)
    .use((session) =>
      session.send<{ n: number }>({ text: `select count(*)::int as n from holdfast.marker where ${where}` }),
    );
  return rows[0]?.n;
};

const withSession = <T>(run: (session: PgSession) => Promise<T>) => nodes.primary(nodes.home).use(run);
const settle = (marker: Marker) =>
  settleMarker(nodes.primary(nodes.home), marker, patienceOf(undefined, systemClock), systemClock);

test("markers are distinct UUIDs in the order of time, in the partition of the server's day", async () => {
  const clock = manualClock();
  const drawn: Marker[] = [];
  await withSession(async (session) => {
    session.connectedAtMs = clock.monotonicMs();
    for (let i = 0; i < 100; i++) {
      drawn.push(drawMarker(clock, session));
      await clock.advance(1);
    }
    const { rows } = await session.send<{ slot: number }>({
      text: "select ((extract(epoch from now())::bigint / 86400) % 3)::int as slot",
    });
    expect(new Set(drawn.map(({ slot }) => slot))).toEqual(new Set([rows[0]?.slot]));
    await clock.advance(86_400_000);
    expect(drawMarker(clock, session).slot).toBe(((rows[0]?.slot ?? 0) + 1) % 3);
    session.taint();
  });
  const ids = drawn.map(({ id }) => id);
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(100);
  for (const id of ids)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("each write leaves one marker, and none when it declines it or fails", async () => {
  const port = postgresDatabase(declaration, nodes, systemClock);
  const before = (await count()) ?? 0;
  await port.write(0, async () => {}, {});
  await port.write(1, async () => {}, { idempotencyKey: "one" });
  expect(await count()).toBe(before + 2);
  await port.write(0, async () => {}, { marker: false });
  await port.writeOnce(0, { consumer: "c", partition: 0, sequence: 1n }, async () => {});
  await port.write(0, () => Promise.reject(new Error("no")), {}).catch(() => {});
  expect(await count()).toBe(before + 2);
});

test("a marker that was never written is settled as not applied, and then never can be written", async () => {
  const marker = await withSession(async (session) => drawMarker(systemClock, session));
  expect(await settle(marker)).toBe(false);
  expect(await settle(marker)).toBe(false);
  const { id, slot } = marker;
  await expect(
    change(`insert into holdfast.marker (slot, id, shard) values (${slot}, '${id}', 0)`),
  ).rejects.toMatchObject({ data: { sqlstate: "23505" } });
});

test("settling waits for a transaction that has its marker and may still commit", async () => {
  for (const ending of ["commit", "rollback"]) {
    await withSession(async (session) => {
      const marker = drawMarker(systemClock, session);
      await session.send({ text: "begin read write" });
      await session.send({
        text: `insert into holdfast.marker (slot, id, shard) values (${marker.slot}, '${marker.id}', 0)`,
      });
      const settled = settle(marker);
      await until(() =>
        withSession(async (other) => {
          const { rowCount } = await other.send({
            text: "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%marker_%'",
          });
          return rowCount === 1;
        }),
      );
      await session.send({ text: ending });
      expect(await settled).toBe(ending === "commit");
    });
  }
});

test("a process that takes the server's clock for another day's writes all the same, once", async () => {
  const port = postgresDatabase(declaration, nodes, systemClock);
  const before = (await count("shard <> -100")) ?? 0;
  for (const options of [{}, { idempotencyKey: "of another day" }]) {
    const sessions = await Promise.all(
      [0, 1].map(() => nodes.primary(nodes.home).lease(patienceOf(undefined, systemClock))),
    );
    for (const session of sessions) {
      session.connectedAtMs -= 86_400_000;
      nodes.primary(nodes.home).release(session);
    }
    await port.write(0, async () => {}, options);
  }
  expect(await count("shard <> -100")).toBe(before + 2);
});

test("keeping house empties only the partition that comes next, and waits for nobody", async () => {
  await change("truncate holdfast.marker");
  for (const days of [0, 1, 2]) {
    // As if written so many days ago.
    await change(`insert into holdfast.marker (slot, id, shard, created_at)
      select ((extract(epoch from now())::bigint / 86400) - ${days} + 3) % 3, gen_random_uuid(), 0, now() - interval '${days} days'
      from generate_series(1, 5)`);
  }
  const holder = await nodes.primary(nodes.home).lease(patienceOf(undefined, systemClock));
  await holder.send({ text: "begin read write" });
  await holder.send({ text: "select from holdfast.marker" });
  await maintainMarkers(nodes);
  expect(await count()).toBe(15);
  await holder.send({ text: "rollback" });
  nodes.primary(nodes.home).release(holder);
  await maintainMarkers(nodes);
  await maintainMarkers(nodes);
  expect(await count()).toBe(10);
  expect(await count("created_at < now() - interval '36 hours'")).toBe(0);
});

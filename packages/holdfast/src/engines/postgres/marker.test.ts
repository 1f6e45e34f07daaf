import { afterAll, beforeAll, expect, test } from "vitest";
import { manualClock, systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { drawMarker, maintainMarkers, settleMarker } from "./marker.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";
import { patienceOf } from "./pool-lease.ts";

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

test("markers are distinct UUIDs in the order of time", async () => {
  const clock = manualClock();
  const drawn: string[] = [];
  for (let i = 0; i < 100; i++) {
    drawn.push(drawMarker(clock).id);
    await clock.advance(1);
  }
  expect(drawn).toEqual([...drawn].sort());
  expect(new Set(drawn).size).toBe(100);
  for (const id of drawn)
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

test("a marker that was never written is settled as not applied", async () => {
  const patience = patienceOf(undefined, systemClock);
  expect(await settleMarker(nodes.primary(nodes.home), drawMarker(systemClock), patience, systemClock)).toBe(
    false,
  );
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

/** What a process makes of a map that is old, not there, or out of reach. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall, Session } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { installFramework } from "./install.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { firstPlaces, placeFrom, plainPlace, type ShardPlace } from "./shard-place.ts";

const declaration = database<never>("mapped", { shards: { count: 2 }, replicas: 0 });
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ shards: 2 });
});
afterAll(() => postgres?.stop());

async function open(migrated: boolean) {
  const nodes = openDatabaseNodes(await postgres.freshDatabase(), {
    clock: systemClock,
    applicationName: "mapped",
  });
  if (migrated) await migrateDatabase(declaration, nodes);
  return { nodes, port: postgresDatabase(declaration, nodes, systemClock) };
}

test("a database that was never migrated says what is missing, and not that something has moved", async () => {
  const { nodes, port } = await open(false);
  const asked = port.read(0, "strong", (db) => sql`select * from nothing`.execute(db));
  await expect(asked).rejects.toMatchObject({ code: "HOLDFAST_SQL_ERROR", data: { sqlstate: "42P01" } });
  await installFramework(nodes);
  const written = port.write(0, (tx) => sql`insert into nothing values (1)`.execute(tx), {});
  await expect(written).rejects.toMatchObject({ code: "HOLDFAST_SQL_ERROR", data: { sqlstate: "42P01" } });
  await nodes.close();
});

test("a table that is not there is an error of the statement, wherever the shard is", async () => {
  const { nodes, port } = await open(true);
  await expect(port.read(0, "strong", (db) => sql`select * from nothing`.execute(db))).rejects.toMatchObject({
    code: "HOLDFAST_SQL_ERROR",
    data: { sqlstate: "42P01" },
  });
  await nodes.close();
});

test("a shard that is nowhere is asked for until the deadline, and nothing was applied", async () => {
  const { nodes, port } = await open(true);
  await nodes.primary("node-1").use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text: "alter schema s1 rename to elsewhere" });
    await session.send({ text: "commit" });
  });
  using call = new Call(systemClock, { timeoutMs: 300 });
  const asked = inCall(call, () => port.write(1, (tx) => sql`insert into t values (1)`.execute(tx), {}));
  await expect(asked).rejects.toMatchObject({ outcome: "not-applied" });
  await nodes.close();
});

test("sessions remember the epoch of a map that is not the first, and it travels", async () => {
  const { nodes } = await open(true);
  const session = new Session();
  nodes.map.note(session);
  expect(session.size).toBe(0);
  nodes.map.take({ ...nodes.map.current, epoch: 7 });
  nodes.map.note(session);
  const travelled = Session.decode(session.encode());
  expect(travelled?.get(nodes.map.log)?.read?.lsn).toBe(7n);
  nodes.map.take({ ...nodes.map.current, epoch: 3 });
  expect(nodes.map.current.epoch).toBe(7);
  await nodes.close();
});

test("a place survives its way through JSON, with and without what it left", () => {
  const [first] = firstPlaces({ epoch: 1, shards: ["node-1"] }).places as [ShardPlace];
  const moved: ShardPlace = {
    node: "node-2",
    schema: "s0_m4",
    floor: { system: "7712085511135025353", timeline: 2, lsn: 1n << 60n },
    left: { node: "node-1", line: { system: "1", timeline: 3, forks: new Map([[2, 1n << 61n]]) } },
  };
  const silent: ShardPlace = {
    ...moved,
    left: { node: "node-1", line: { system: "1", timeline: 3, forks: undefined } },
  };
  for (const place of [first, moved, silent]) {
    expect(placeFrom(JSON.parse(JSON.stringify(plainPlace(place))))).toEqual(place);
  }
});

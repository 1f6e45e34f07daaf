import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Session } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { inWorld } from "../../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../../testkit/index.ts";
import type { DatabaseConfig } from "../config.ts";
import { migrateDatabase } from "../migrate.ts";
import { planMigration } from "../migrate-pending.ts";
import { openDatabaseNodes } from "../nodes.ts";
import { bank, type OpenBank, openBank } from "./fixtures/bank.ts";
import { openReshard, type ReshardOptions } from "./reshard.ts";

let postgres: TestPostgres;
let config: DatabaseConfig;
let opened: OpenBank;

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  config = await postgres.freshDatabase();
  opened = await openBank(config);
});
afterEach(() => opened.close());

const options: ReshardOptions = { clock: systemClock, patienceMs: 10_000 };

test("a shard moves and is taken back while it is used: nothing lost or doubled, every session sees its writes", async () => {
  const owner = "ada";
  const { shard, node, other } = await opened.placeOf(owner);
  const clients = opened.busy(owner, 3);
  const progress: string[] = [];
  await using told = await openReshard(bank, config, {
    ...options,
    onProgress: ({ action }) => progress.push(action),
  });
  const [move] = await told.move({ nodes: [other], shards: [shard] });
  expect(move).toMatchObject({ state: "kept", source: node, target: other });
  expect(move?.data.verified).toMatchObject({ tables: 3 });
  const [back] = await told.back([shard]);
  expect(back).toMatchObject({ state: "kept", source: other, target: node });
  const [again] = await told.back([shard]);
  expect(again).toMatchObject({ state: "kept", source: node, target: other });
  const { written, stale } = await clients.stop();
  expect(stale).toEqual([]);
  expect((await opened.placeOf(owner)).node).toBe(other);
  expect(await opened.idsOf(owner)).toEqual(written);
  await told.finish();
  expect(await opened.leftOn(node)).toEqual([]);
  expect(await opened.leftOn(other)).toEqual([]);
  expect((await opened.add(owner)).id).toBeGreaterThan(Math.max(...written));
  expect(progress).toContain("verify");
});

test("answers of idempotency keys and guards of consumers come along", async () => {
  const owner = "grace";
  const { shard, other } = await opened.placeOf(owner);
  const first = await opened.add(owner, new Session(), "order-1");
  const guard = { consumer: "tally", partition: 0, sequence: 7n };
  await opened.inCall(new Session(), () => bank.at(owner).writeOnce(guard, async () => {}));
  await using resharder = await openReshard(bank, config, options);
  await resharder.move({ nodes: [other], shards: [shard], keep: false });
  expect(await opened.add(owner, new Session(), "order-1")).toEqual(first);
  expect(await opened.inCall(new Session(), () => bank.at(owner).writeOnce(guard, async () => {}))).toBe(
    false,
  );
  expect(await opened.idsOf(owner)).toEqual([first.id]);
  expect(await resharder.open()).toEqual([]);
  expect(await opened.leftOn(other)).toEqual([]);
});

test("a process with an old map is refused where the shard was, and finds it; so does a session that knows a newer map", async () => {
  const owner = "linus";
  const { shard, node, other } = await opened.placeOf(owner);
  await opened.add(owner);
  const late = await openBank(config, false);
  const older = await openBank(config, false);
  const planner = await openBank(config, false);
  expect(await late.idsOf(owner)).toHaveLength(1);
  await using resharder = await openReshard(bank, config, options);
  await resharder.move({ nodes: [other], shards: [shard] });

  const session = new Session();
  await opened.add(owner, session);
  expect(late.nodes.map.place(shard).node).toBe(node);
  const travelled = Session.decode(session.encode()) as Session;
  expect(await late.idsOf(owner, travelled)).toHaveLength(2);
  expect(late.nodes.map.place(shard).node).toBe(other);

  expect(older.nodes.map.place(shard).node).toBe(node);
  for (const level of ["strong", "session", "eventual"] as const) {
    const rows = await inWorld(older.world, () =>
      bank.at(owner).read(level, (sql) => sql.selectFrom("account").select("id").execute()),
    );
    expect(rows.length, level).toBe(2);
  }
  expect(planner.nodes.map.place(shard).node).toBe(node);
  expect(await planMigration(bank, planner.nodes)).toMatchObject({ pending: [] });
  await Promise.all([late.close(), older.close(), planner.close()]);
});

test("what stands in the way is told all at once, and nothing is begun", async () => {
  const { shard, node, other } = await opened.placeOf("edsger");
  const sourcePool = opened.nodes.primary(node);
  await sourcePool.use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({
      text: `create table s${shard}.keyless (a int); create unlogged table s${shard}.fleeting (a int primary key)`,
    });
    await session.send({ text: "commit" });
    await session.send({ text: "begin read write" });
    await session.send({
      text: `insert into s${shard}.rate values ('p', 1); prepare transaction 'transfer-9'`,
    });
  });
  await using resharder = await openReshard(bank, config, options);
  const error = await resharder.move({ nodes: [other], shards: [shard] }).catch((thrown: unknown) => thrown);
  await sourcePool.use((session) => session.send({ text: "rollback prepared 'transfer-9'" }));
  expect(error).toMatchObject({ code: "HOLDFAST_RESHARD_REFUSED", outcome: "not-applied" });
  expect((error as { data: { problems: string[] } }).data.problems).toEqual([
    expect.stringContaining("transfer-9"),
    expect.stringContaining("keyless"),
    expect.stringContaining("fleeting"),
  ]);
  expect(await resharder.open()).toEqual([]);
  await expect(resharder.move({ nodes: ["node-9"], shards: [99] })).rejects.toMatchObject({
    data: { problems: [expect.stringContaining("node-9"), expect.stringContaining("99")] },
  });
  await expect(openReshard(bank, config, options)).rejects.toMatchObject({
    code: "HOLDFAST_RESHARD_REFUSED",
    message: expect.stringContaining("Another process"),
  });
});

test("a copy that is not like the original is found, and the source goes on serving", async () => {
  const owner = "barbara";
  const { shard, node, other } = await opened.placeOf(owner);
  await opened.add(owner);
  const damage = async (action: string) => {
    if (action !== "verify") return;
    await opened.nodes.primary(other).use(async (session) => {
      await session.send({ text: "begin read write" });
      await session.send({ text: `update s${shard}.account set cents = 2` });
      await session.send({ text: "commit" });
    });
  };
  await using resharder = await openReshard(bank, config, {
    ...options,
    onStep: (action, when) => (when === "before" ? damage(action) : undefined),
  });
  await expect(resharder.move({ nodes: [other], shards: [shard] })).rejects.toMatchObject({
    code: "HOLDFAST_RESHARD_FAILED",
    message: expect.stringContaining("account: 1 rows on both, but their contents differ"),
  });
  await opened.add(owner);
  expect((await opened.placeOf(owner)).node).toBe(node);
  const [aborted] = await resharder.abort();
  expect(aborted).toMatchObject({ state: "aborted" });
  expect([await opened.leftOn(node), await opened.leftOn(other)]).toEqual([[], []]);
  expect(await opened.idsOf(owner)).toHaveLength(2);
});

test("a declaration that names more nodes, or fewer, moves nothing: data is where the map says", async () => {
  const owner = "alan";
  const { node } = await opened.placeOf(owner);
  await opened.add(owner);
  const [first] = config.nodes;
  const turned = {
    ...config,
    shardMap: {
      epoch: 1,
      shards: config.shardMap.shards.map(() => (node === "node-1" ? "node-2" : "node-1")),
    },
  };
  const other = await openBank(turned, false);
  expect(await migrateDatabase(bank, other.nodes)).toMatchObject({ applied: 0 });
  expect(await other.idsOf(owner)).toHaveLength(1);
  await other.close();
  const fewer = openDatabaseNodes(
    {
      nodes: first ? [first] : [],
      shardMap: { epoch: 1, shards: config.shardMap.shards.map(() => "node-1") },
    },
    { clock: systemClock, applicationName: "fewer" },
  );
  await expect(migrateDatabase(bank, fewer)).rejects.toMatchObject({
    code: "HOLDFAST_OPTIONS_INVALID",
    message: expect.stringContaining('are on node "node-2", which is not configured'),
  });
  await fewer.close();
});

test("shards spread over the nodes evenly, and leave a node that is not wanted, whatever the epoch", async () => {
  // Epochs are compared as numbers: 10 comes behind 9.
  await opened.nodes.primary("node-1").use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({
      text: "insert into holdfast.shard_map (epoch, places) select 8, places from holdfast.shard_map",
    });
    await session.send({ text: "commit" });
  });
  await using resharder = await openReshard(bank, config, options);
  expect(resharder.plan({})).toEqual([]);
  expect(resharder.plan({ nodes: ["node-1"] }).map(({ shard }) => shard)).toEqual([1, 3]);
  await resharder.move({ nodes: ["node-1"], keep: false });
  expect(resharder.map.places.map(({ node }) => node)).toEqual(["node-1", "node-1", "node-1", "node-1"]);
  expect(resharder.map.epoch).toBe(10);
  expect(resharder.plan({})).toHaveLength(2);
  await resharder.move({ keep: false });
  expect(resharder.map.epoch).toBe(12);
  await opened.nodes.map.refresh();
  expect(opened.nodes.map.current).toEqual(resharder.map);
});

test("a migration between a stopped move and the next try begins the copy anew; one after a move closes the way back", async () => {
  const owner = "donald";
  const { shard, node, other } = await opened.placeOf(owner);
  const { id } = await opened.add(owner);
  const alter = (where: string, schema: string) =>
    opened.nodes.primary(where).use(async (session) => {
      await session.send({ text: "begin read write" });
      await session.send({ text: `alter table ${schema}.rate add column note text` });
      await session.send({ text: "commit" });
    });
  const stop = new AbortController();
  {
    await using resharder = await openReshard(bank, config, {
      ...options,
      signal: stop.signal,
      onStep: (action) => (action === "copy" ? stop.abort() : undefined),
    });
    await expect(resharder.move({ nodes: [other], shards: [shard] })).rejects.toThrow();
  }
  await alter(node, `s${shard}`);
  {
    await using resharder = await openReshard(bank, config, options);
    // The column is in no migration, so that the copy cannot be made like the original.
    await expect(resharder.resume()).rejects.toMatchObject({
      message: expect.stringContaining("column rate.note text"),
    });
    await resharder.abort();
  }
  await opened.nodes.primary(node).use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text: `alter table s${shard}.rate drop column note` });
    await session.send({ text: "commit" });
  });
  await using resharder = await openReshard(bank, config, options);
  const [move] = await resharder.move({ nodes: [other], shards: [shard] });
  await alter(other, move?.schemaAfter ?? "");
  await expect(resharder.back()).rejects.toMatchObject({
    code: "HOLDFAST_RESHARD_FAILED",
    message: expect.stringContaining("cannot be taken back any more"),
  });
  await resharder.abort();
  await resharder.finish();
  expect(await opened.idsOf(owner)).toEqual([id]);
  expect((await opened.placeOf(owner)).node).toBe(other);
});

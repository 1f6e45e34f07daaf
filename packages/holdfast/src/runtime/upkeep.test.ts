import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { expect, test } from "vitest";
import { manualClock, systemClock } from "../clock/index.ts";
import {
  installFramework,
  migrateDatabase,
  openDatabaseNodes,
  postgresDatabase,
} from "../engines/postgres/index.ts";
import { database } from "../parts/index.ts";
import { startTestPostgres, until } from "../testkit/index.ts";
import { keepUp, referenceMs, upkeepMs } from "./upkeep.ts";

test("markers of two days ago are emptied within the hour, those of today stay, and stopping holds no timer", async () => {
  await using postgres = await startTestPostgres();
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "upkeep test" });
  const client = new pg.Client(postgres.config.nodes[0]?.primary);
  await client.connect();
  try {
    await installFramework(nodes);
    const { rows } = await client.query("select (extract(epoch from now())::bigint / 86400)::int as day");
    const [today, next] = [rows[0].day % 3, (rows[0].day + 1) % 3];
    await client.query("insert into holdfast.marker (id, shard) values (gen_random_uuid(), 0)");
    await client.query(
      `insert into holdfast.marker_${next} (id, shard, slot) values (gen_random_uuid(), 0, ${next})`,
    );
    const count = async (slot: number) =>
      Number((await client.query(`select count(*) from holdfast.marker_${slot}`)).rows[0].count);
    expect([await count(today), await count(next)]).toEqual([1, 1]);

    const clock = manualClock();
    const stop = keepUp(nodes, clock);
    await clock.advance(upkeepMs);
    await until(async () => (await count(next)) === 0, { what: "the old slot to be empty" });
    expect(await count(today)).toBe(1);
    await until(() => clock.pendingTimers === 1, { what: "the next round to be planned" });
    stop();
    expect(clock.pendingTimers).toBe(0);
  } finally {
    await client.end();
    await nodes.close();
  }
});

test("what lookups have left is swept within the hour, and a node that missed a version of the reference tables gets it in seconds", async () => {
  await using postgres = await startTestPostgres({ nodes: 2, shards: 2 });
  const folder = await mkdtemp(join(tmpdir(), "hf-upkeep-"));
  await writeFile(join(folder, "001_plan.sql"), "create table plan (id text primary key);");
  const declaration = database<{ plan: { id: string } }>("upkeep", {
    shards: { count: 2 },
    nodes: 2,
    replicas: 0,
    lookups: { email: { unique: true } },
    reference: { migrations: pathToFileURL(`${folder}/`), tables: ["plan"] },
  });
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "upkeep test" });
  const client = new pg.Client(postgres.config.nodes[1]?.primary);
  await client.connect();
  const clock = manualClock();
  let stop = () => {};
  try {
    await migrateDatabase(declaration, nodes);
    const port = postgresDatabase(declaration, nodes, systemClock);
    // A claim whose write was cut short two minutes ago, on the shard of node-2.
    await client.query(`insert into s1.holdfast_lookup (name, value, key, claim, is_unique, claimed_at)
      values ('email', 'a@b.c', 'nobody', gen_random_uuid(), true, now() - interval '2 minutes')`);
    await port.reference.write((tx) => tx.insertInto("plan").values({ id: "pro" }).execute(), {});
    const count = async (table: string) =>
      Number((await client.query(`select count(*) from ${table}`)).rows[0].count);
    expect([await count("s1.holdfast_lookup"), await count("ref.plan")]).toEqual([1, 0]);

    stop = keepUp(nodes, clock, {
      options: declaration.options,
      sweepLookups: () => port.lookups.sweep(),
      settleReference: () => port.reference.settle(5_000),
    });
    expect(clock.pendingTimers).toBe(3);
    await clock.advance(referenceMs);
    await until(async () => (await count("ref.plan")) === 1, {
      what: "the version to be on the second node",
    });
    await clock.advance(upkeepMs);
    await until(async () => (await count("s1.holdfast_lookup")) === 0, { what: "the stale row to be gone" });
    stop();
    expect(clock.pendingTimers).toBe(0);
  } finally {
    stop();
    await client.end();
    await nodes.close();
    await rm(folder, { recursive: true, force: true });
  }
});

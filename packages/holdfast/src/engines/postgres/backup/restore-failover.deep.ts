/** A restore over a failover, out of the archive alone; and what sessions are told after it. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { expect, test, vi } from "vitest";
import { Call, inCall, Session } from "../../../call/index.ts";
import { systemClock } from "../../../clock/index.ts";
import { database } from "../../../parts/database/index.ts";
import type { AnyTables } from "../../../parts/database/port.ts";
import { until } from "../../../testkit/index.ts";
import { postgresDatabase } from "../database.ts";
import { migrateDatabase } from "../migrate.ts";
import { openDatabaseNodes } from "../nodes.ts";
import { type BackedUpNodes, backedUpNodes } from "./fixtures/backed-up-nodes.ts";

vi.setConfig({ testTimeout: 180_000 });

const declaration = database<never>("app", { shards: { count: 1 } });

function open(world: BackedUpNodes) {
  const nodes = openDatabaseNodes(
    { ...world.config(), shardMap: { epoch: 1, shards: ["node-1"] } },
    { clock: systemClock, applicationName: "test" },
  );
  const part = postgresDatabase(declaration, nodes, systemClock);
  return {
    nodes,
    write: (session: Session, text: string) =>
      inCall(new Call(systemClock, { session }), () =>
        part.write(0, (tx: Kysely<AnyTables>) => sql.raw(text).execute(tx), {}),
      ),
    ids: (session: Session) =>
      inCall(new Call(systemClock, { session }), () =>
        part.read(0, "session", async (db) => {
          const { rows } = await sql<{ id: number }>`select id from public.item order by id`.execute(db);
          return rows.map(({ id }) => id);
        }),
      ),
  };
}

test("the log goes on in the archive of the promoted primary, and sessions that knew what is gone are told", async () => {
  const world = await backedUpNodes(1, 1);
  try {
    let app = open(world);
    await migrateDatabase(declaration, app.nodes);
    await app.write(new Session(), "create table public.item (id int primary key)");
    const [node] = world.nodes;
    if (!node) throw new Error("no node");
    await node.setArchive("default");
    const taken = await world.backup();
    const early = new Session();
    await app.write(early, "insert into public.item values (1)");
    await until(async () => (await node.replicaState(0)) === "streaming");
    await world.ask(0, "insert into public.item select g from generate_series(1000, 90000) g"); // over segments
    const [{ lsn } = { lsn: "0/0" }] = await world.ask<{ lsn: string }>(
      0,
      "select pg_current_wal_lsn()::text as lsn",
    );
    await until(
      async () =>
        (await world.ask(0, "select 1 from pg_stat_replication where flush_lsn >= $1::pg_lsn", [lsn]))
          .length === 1,
      { what: "the replica's copy of the log" },
    );
    await world.ask(0, "delete from public.item where id >= 1000");
    // Killed, so that it archives nothing more.
    const failover = await node.failOver();
    expect(failover.timeline).toBe(2);
    await node.restartServer(0);
    await world.ask(0, "insert into public.item values (2)");
    const atMs = Date.now();
    await sleep(5);
    const late = new Session();
    await until(() =>
      app.write(late, "insert into public.item values (3)").then(
        () => true,
        () => false,
      ),
    );
    await app.nodes.close();
    await world.stop();
    // The disk of the data is lost; the archive is on another.
    const servers = join(world.dir, "node-1", "servers");
    const kept = new Set(["archive"]);
    for (const name of await readdir(servers)) {
      if (!kept.has(name)) await rm(join(servers, name), { recursive: true });
    }
    const restored = await world.restore(taken.dir, { target: { kind: "time", atMs } });
    expect(restored.nodes).toMatchObject([{ timeline: 3, stoppedAt: "target" }]);
    await world.start();
    app = open(world);
    expect(await app.ids(early)).toEqual([1, 2]);
    await expect(app.ids(late)).rejects.toMatchObject({ code: "HOLDFAST_WRITE_LOST" });
    expect(await app.ids(late)).toEqual([1, 2]);
    await app.nodes.close();
  } finally {
    await world.remove();
  }
});

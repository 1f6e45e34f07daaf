/** Two worlds in one process: one declaration, two databases, nothing shared. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { Call, inCall, type OperationEnd } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { database, inWorld, World } from "../../parts/index.ts";
import { startTestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { openDatabaseNodes } from "./nodes.ts";

test("what a transaction's own code throws is reported as not applied; a lost server is not its answer", async () => {
  await using postgres = await startTestPostgres({ shards: 1 });
  const links = database<never>("links", { shards: { count: 1 } });
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "refusing" });
  await migrateDatabase(links, nodes);
  const world = new World("refusing", systemClock);
  world.bind(links, postgresDatabase(links, nodes, systemClock));
  const ends: OperationEnd[] = [];
  world.seam.observe({ end: (end) => ends.push(end) });
  const own = new Error("wrong edit key");
  await inWorld(world, async () => {
    const shard = links.at("a");
    await expect(shard.write(() => Promise.reject(own))).rejects.toBe(own);
    await expect(
      shard.write(async (tx) => {
        await sql`create table item (id int)`.execute(tx);
        throw own;
      }),
    ).rejects.toBe(own);
    // The connection breaks for good, so that nobody confirms the rollback.
    const broken = new Call(systemClock, { timeoutMs: 2_000 });
    const lost = inCall(broken, () =>
      shard.write((tx) =>
        sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx).catch(() => Promise.reject(own)),
      ),
    );
    await expect(lost).rejects.toBeInstanceOf(Error);
  });
  expect(ends.map(({ undone }) => undone)).toEqual([true, true, false]);
  expect(ends.map(({ outcome }) => outcome).slice(0, 2)).toEqual(["not-applied", "not-applied"]);
  await nodes.close();
});

test("a handle reads and writes in the world that it is used in, also when both are used at once", async () => {
  await using postgres = await startTestPostgres({ shards: 4 });
  const folder = await mkdtemp(join(tmpdir(), "hf-worlds-"));
  await writeFile(join(folder, "001_note.sql"), "create table note (world text not null)");
  const notes = database<{ note: { world: string } }>("notes", {
    migrations: pathToFileURL(folder),
    shards: { count: 4 },
  });
  const worlds = await Promise.all(
    ["left", "right"].map(async (name) => {
      const config = await postgres.freshDatabase();
      const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: name });
      await migrateDatabase(notes, nodes);
      const world = new World(name, systemClock);
      world.bind(notes, postgresDatabase(notes, nodes, systemClock));
      return { world, nodes };
    }),
  );
  await Promise.all(
    worlds.map(({ world }) =>
      inWorld(world, async () => {
        for (let i = 0; i < 8; i++) {
          await notes.at(i).write((tx) => tx.insertInto("note").values({ world: world.name }).execute());
        }
      }),
    ),
  );
  for (const { world, nodes } of worlds) {
    const seen = await inWorld(world, () =>
      Promise.all(
        notes.shards().map((shard) => shard.read((db) => db.selectFrom("note").selectAll().execute())),
      ),
    );
    expect(seen.flat()).toEqual(Array.from({ length: 8 }, () => ({ world: world.name })));
    await nodes.close();
  }
  expect(() => notes.at("a")).toThrow(expect.objectContaining({ code: "HOLDFAST_UNBOUND" }));
  await rm(folder, { recursive: true });
});

/** Whatever a session did before, a statement means the tables of its own shard: in each form in which it is sent. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type Database, database, inWorld, World } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

interface Tables {
  note: { shard: number };
  counted: { n: number; first: number };
  everywhere: { word: string };
}

const shardCount = 3;
let postgres: TestPostgres;
let nodes: DatabaseNodes;
let notes: Database<Tables>;
let world: World;
let folder: string;

beforeAll(async () => {
  postgres = await startTestPostgres({ shards: shardCount });
  folder = await mkdtemp(join(tmpdir(), "hf-placing-"));
  // The function's body names its table without a schema: the search path of whoever asks decides.
  await writeFile(
    join(folder, "001_note.sql"),
    `create table note (shard int not null);
     create function first_note() returns int language plpgsql stable as 'begin return (select min(shard) from note); end';
     create view counted as select (select count(*)::int from note) as n, first_note() as first;`,
  );
  notes = database<Tables>("notes", { migrations: pathToFileURL(folder), shards: { count: shardCount } });
  // One session: whatever one shard leaves behind, the next one meets.
  nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "placing", poolSize: 1 });
  await migrateDatabase(notes, nodes);
  world = new World("placing", systemClock);
  world.bind(notes, postgresDatabase(notes, nodes, systemClock));
  await nodes.primary(nodes.home).use(async (session) => {
    await session.send({ text: "begin read write" });
    await session.send({ text: "create table public.everywhere (word text)" });
    await session.send({ text: "insert into public.everywhere values ('kelp')" });
    await session.send({ text: "commit" });
  });
  await inWorld(world, async () => {
    for (const shard of notes.shards())
      await shard.write((tx) => tx.insertInto("note").values({ shard: shard.index }).execute());
  });
});

afterAll(async () => {
  await nodes?.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

type Reading = (db: Kysely<Tables>) => Promise<unknown>;
const builder: Reading = (db) => db.selectFrom("note").select("shard").execute();
const raw: Reading = async (db) => (await sql`select shard from note`.execute(db)).rows;
const viewWithFunction: Reading = (db) => db.selectFrom("counted").selectAll().execute();
const inPublic: Reading = (db) => db.selectFrom("everywhere").select("word").execute();

const expected = (reading: Reading, shard: number) => {
  if (reading === viewWithFunction) return [{ n: 1, first: shard }];
  if (reading === inPublic) return [{ word: "kelp" }];
  return [{ shard }];
};

test("each form of a read sees its own shard, behind a write to another and behind each other form", async () => {
  const readings = [builder, raw, viewWithFunction, inPublic];
  await inWorld(world, async () => {
    for (const before of [...readings, undefined])
      for (const reading of readings)
        for (const shard of notes.shards()) {
          const other = notes.shards()[(shard.index + 1) % shardCount];
          if (before) await other?.read(before);
          else await other?.write((tx) => tx.selectFrom("note").select("shard").execute());
          expect(await shard.read("strong", reading)).toEqual(expected(reading, shard.index));
        }
  });
});

test("several forms in one read, and what does not exist is said to", async () => {
  await inWorld(world, async () => {
    for (const shard of notes.shards()) {
      const both = await shard.read(async (db) => [await builder(db), await raw(db), await builder(db)]);
      expect(both).toEqual([[{ shard: shard.index }], [{ shard: shard.index }], [{ shard: shard.index }]]);
      await expect(
        shard.read((db) =>
          (db as unknown as Kysely<{ gone: object }>).selectFrom("gone").selectAll().execute(),
        ),
      ).rejects.toMatchObject({ code: "HOLDFAST_SQL_ERROR", data: { sqlstate: "42P01" } });
    }
  });
});

test("after a rollback the path is unknown, and no shard's", async () => {
  await inWorld(world, async () => {
    const [first, second] = notes.shards();
    const own = new Error("changed my mind");
    await expect(first?.write(() => Promise.reject(own))).rejects.toBe(own);
    expect(await second?.read("strong", viewWithFunction)).toEqual([{ n: 1, first: 1 }]);
    expect(await second?.read("strong", builder)).toEqual([{ shard: 1 }]);
  });
});

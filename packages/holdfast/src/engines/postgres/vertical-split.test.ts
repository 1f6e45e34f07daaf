/** A vertical split: two databases of different shard counts, one key, and a change of both that is right when it is cut. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type Database, database, inWorld, World } from "../../parts/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { postgresDatabase } from "./database.ts";
import { migrateDatabase } from "./migrate.ts";
import { type DatabaseNodes, openDatabaseNodes } from "./nodes.ts";

interface Narrow {
  profile: { id: string; photo: string | null };
}
interface Wide {
  photo: { id: string; version: string; bytes: Buffer };
}

let postgres: TestPostgres;
let folder: string;
let profiles: Database<Narrow>;
let photos: Database<Wide>;
const world = new World("split", systemClock);
const opened: DatabaseNodes[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres({ nodes: 2 });
  folder = await mkdtemp(join(tmpdir(), "hf-split-"));
  const migrations = async (name: string, text: string) => {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, "001_table.sql"), text);
    return pathToFileURL(`${join(folder, name)}/`);
  };
  profiles = database<Narrow>("profiles", {
    migrations: await migrations(
      "profiles",
      "create table profile (id text primary key check (holds_key(id)), photo text);",
    ),
    shards: { count: 5 },
    nodes: 2,
    replicas: 0,
  });
  photos = database<Wide>("photos", {
    migrations: await migrations(
      "photos",
      "create table photo (id text check (holds_key(id)), version text, bytes bytea not null, primary key (id, version));",
    ),
    shards: { count: 3 },
    nodes: 2,
    replicas: 0,
  });
  for (const part of [profiles, photos]) {
    const config = await postgres.freshDatabase({ shards: part.options.shardCount });
    const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "split" });
    opened.push(nodes);
    await migrateDatabase(part, nodes);
    world.bind(part, postgresDatabase(part, nodes, systemClock));
  }
});
afterAll(async () => {
  for (const nodes of opened) await nodes.close();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const putPhoto = (id: string, version: string) =>
  photos.at(id).write((tx) =>
    tx
      .insertInto("photo")
      .values({ id, version, bytes: Buffer.from(`${id} ${version}`) })
      .onConflict((on) => on.doNothing())
      .execute(),
  );
const point = (id: string, photo: string | null) =>
  profiles.at(id).write((tx) =>
    tx
      .insertInto("profile")
      .values({ id, photo })
      .onConflict((on) => on.column("id").doUpdateSet({ photo }))
      .execute(),
  );
const photoOf = async (id: string) => {
  const profile = await profiles
    .at(id)
    .read("strong", (db) => db.selectFrom("profile").select("photo").where("id", "=", id).executeTakeFirst());
  if (!profile?.photo) return undefined;
  const row = await photos.at(id).read("strong", (db) =>
    db
      .selectFrom("photo")
      .select("bytes")
      .where("id", "=", id)
      .where("version", "=", profile.photo as string)
      .executeTakeFirst(),
  );
  return row?.bytes.toString() ?? "dangling";
};

test("one key leads to its shard in each database, and each refuses a key that is not its shard's", () =>
  inWorld(world, async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `user-${n}`);
    await Promise.all(ids.map((id) => putPhoto(id, "v1").then(() => point(id, "v1"))));
    const pairs = new Set(ids.map((id) => `${profiles.at(id).index} ${photos.at(id).index}`));
    expect(pairs.size).toBe(5 * 3);
    for (const id of ids) expect(await photoOf(id)).toBe(`${id} v1`);
    const other = photos.shards().find((shard) => shard.index !== photos.at("user-1").index);
    await expect(
      other?.write((tx) =>
        tx.insertInto("photo").values({ id: "user-1", version: "v9", bytes: Buffer.of() }).execute(),
      ),
    ).rejects.toMatchObject({ code: "HOLDFAST_SQL_CONFLICT" });
  }));

test("wide first, then the commit that names it: cut in between, readers have the old one, and again is right", () =>
  inWorld(world, async () => {
    const id = "cut";
    await putPhoto(id, "v1");
    await point(id, "v1");
    await putPhoto(id, "v2"); // and its process is killed
    expect(await photoOf(id)).toBe("cut v1");
    await putPhoto(id, "v2");
    await point(id, "v2");
    expect(await photoOf(id)).toBe("cut v2");
    // The other way round a reader meets a name that leads to nothing.
    await point(id, "v3");
    expect(await photoOf(id)).toBe("dangling");
    // Away: first the name, then what it led to.
    await point(id, null);
    expect(await photoOf(id)).toBeUndefined();
  }));

/**
 * A vertical split: what is read often in one database, what is wide in another, each with shards, nodes and replicas
 * of its own. The same key leads to both. A change of both is two writes, in an order that is right when it is cut.
 *
 *   node examples/vertical-split.ts
 */
import { inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database, type ReadLevel } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

const profiles = database<{ profile: { id: string; name: string; photo: string | null } }>("profiles", {
  migrations: new URL("./vertical-split-migrations/profiles/", import.meta.url),
  shards: { count: 8 },
  replicas: 0,
});
const photos = database<{ photo: { id: string; version: string; bytes: Buffer } }>("photos", {
  migrations: new URL("./vertical-split-migrations/photos/", import.meta.url),
  shards: { count: 3 },
  replicas: 0,
});

await using postgres = await startTestPostgres({ shards: 8 });
const world = new World("example", systemClock);
const opened = [];
for (const [part, count] of [
  [profiles, 8],
  [photos, 3],
] as const) {
  const config = await postgres.freshDatabase({ shards: count });
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "example" });
  opened.push(nodes);
  await migrateDatabase(part, nodes);
  world.bind(part, postgresDatabase(part, nodes, systemClock));
}

/**
 * The wide row first, under a version that nobody knows of; then the commit that counts: it names the version. Cut
 * between the two, the old photo is still the one, and the new row is only in the way until it is swept.
 */
async function setPhoto(id: string, version: string, bytes: Buffer, cut = false): Promise<void> {
  await photos.at(id).write((tx) =>
    tx
      .insertInto("photo")
      .values({ id, version, bytes })
      .onConflict((on) => on.doNothing())
      .execute(),
  );
  if (cut) throw new Error("the process was killed here");
  await profiles
    .at(id)
    .write((tx) => tx.updateTable("profile").set({ photo: version }).where("id", "=", id).execute());
}

async function photoOf(id: string): Promise<string | undefined> {
  const profile = await profiles
    .at(id)
    .read((db) => db.selectFrom("profile").select("photo").where("id", "=", id).executeTakeFirst());
  const version = profile?.photo;
  if (!version) return undefined;
  const find = (level: ReadLevel) =>
    photos
      .at(id)
      .read(level, (db) =>
        db
          .selectFrom("photo")
          .select("bytes")
          .where("id", "=", id)
          .where("version", "=", version)
          .executeTakeFirst(),
      );
  // A replica of this database may be behind what a replica of the other has shown.
  const row = (await find("session")) ?? (await find("strong"));
  return row?.bytes.toString();
}

/** What no profile names goes. To be run now and then, for versions that are older than any write takes. */
async function sweepPhotos(id: string): Promise<number> {
  const profile = await profiles
    .at(id)
    .read("strong", (db) => db.selectFrom("profile").select("photo").where("id", "=", id).executeTakeFirst());
  const gone = await photos.at(id).write((tx) =>
    tx
      .deleteFrom("photo")
      .where("id", "=", id)
      .where("version", "!=", profile?.photo ?? "")
      .executeTakeFirst(),
  );
  return Number(gone.numDeletedRows);
}

await inWorld(world, async () => {
  const id = "ada";
  console.log(
    `${id}: shard ${profiles.at(id).index} of 8 for the profile, shard ${photos.at(id).index} of 3 for the photo`,
  );
  await profiles
    .at(id)
    .write((tx) => tx.insertInto("profile").values({ id, name: "Ada", photo: null }).execute());
  await setPhoto(id, "v1", Buffer.from("a portrait"));
  console.log(`photo: ${await photoOf(id)}`);
  await setPhoto(id, "v2", Buffer.from("a better portrait"), true).catch((error: Error) =>
    console.log(error.message),
  );
  console.log(`photo: ${await photoOf(id)}`);
  await setPhoto(id, "v2", Buffer.from("a better portrait")); // the same again, to its end
  console.log(`photo: ${await photoOf(id)}; swept: ${await sweepPhotos(id)}`);
});

for (const nodes of opened) await nodes.close();

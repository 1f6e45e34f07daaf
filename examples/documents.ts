/**
 * Documents and key-values in the tables of a database: by key, by what they contain, and changed only if nobody
 * else has meanwhile.
 *
 *   node examples/documents.ts
 */
import { HoldfastError, installWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { documents, etagOf, keyValues, versionOfIfMatch } from "holdfast/rows";
import { startTestPostgres } from "holdfast/testkit";
import * as v from "valibot";

const Profile = v.object({
  name: v.pipe(v.string(), v.minLength(1)),
  city: v.optional(v.string()),
  visits: v.optional(v.number(), 0),
});

const people = database("people", {
  migrations: new URL("./documents-migrations/", import.meta.url),
  shards: { count: 4 },
  replicas: 0,
});
const profiles = documents(people, "profile", { schema: Profile });
const drafts = keyValues(people, "draft", { schema: v.string() });

await using postgres = await startTestPostgres({ shards: 4 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(people, nodes);
const world = new World("example", systemClock);
world.bind(people, postgresDatabase(people, nodes, systemClock));
installWorld(world);

const code = (error: unknown) => (error instanceof HoldfastError ? error.code : String(error));

for (const [key, city] of [
  ["ada", "London"],
  ["grace", "New York"],
  ["alan", "London"],
] as const)
  await profiles.put(key, { name: key, city, visits: 0 });

const found = await profiles.find({ city: "London" });
console.log(`in London: ${found.rows.map((row) => row.key).join(", ")}`);

const many = await profiles.getMany(["ada", "grace", "nobody"]);
console.log(`of three keys there are: ${[...many.keys()].sort().join(", ")}`);

const patched = await profiles.patch("ada", { city: null });
console.log(`null takes a member out: ${JSON.stringify(patched?.doc)}`);
console.log(`what does not fit: ${await profiles.put("ada", { name: "", visits: 0 }).catch(code)}`);

// Two browsers have the same page. The second to save is told, instead of undoing what the first did.
const page = await profiles.get("grace");
const ifMatch = etagOf(page?.version ?? 0);
const save = (city: string) => {
  const ifVersion = versionOfIfMatch(ifMatch);
  return profiles.patch("grace", { city }, ifVersion === undefined ? {} : { ifVersion });
};
console.log(`first saves: ${(await save("Arlington"))?.doc.city}`);
console.log(`second saves: ${await save("Boston").catch(code)}`);

// Or read, change and put again, until nobody was in between.
await Promise.all(
  Array.from({ length: 5 }, () =>
    profiles.edit("alan", (doc) => doc && { ...doc, visits: doc.visits + 1 }, { attemptsMax: 20 }),
  ),
);
console.log(`five edits at once: ${(await profiles.get("alan"))?.doc.visits} visits`);

// Inside of a transaction, with everything else of the same shard.
await people.at("ada").write(async (tx) => {
  await drafts.set("ada", "Dear …", { in: tx, ttlMs: 3_600_000 });
  await profiles.patch("ada", { city: "Ockham" }, { in: tx });
});
console.log(`draft: ${await drafts.get("ada")}`);
console.log(`sent once: ${await drafts.compareAndSet("ada", { expect: "Dear …", set: "sent" })}`);
console.log(`and not twice: ${await drafts.compareAndSet("ada", { expect: "Dear …", set: "sent" })}`);

installWorld(undefined);
await nodes.close();

/**
 * Lookups: from an e-mail address to the user that has it, whatever shard the user is on; unique across all of them.
 *
 *   node examples/lookups.ts
 */
import { HoldfastError, inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

interface Tables {
  person: { id: string; email: string; city: string | null };
}

const users = database<Tables>("users", {
  migrations: new URL("./lookups-migrations/", import.meta.url),
  shards: { count: 8 },
  nodes: 2,
  replicas: 0,
  lookups: {
    email: { unique: true, normalise: (email) => email.trim().toLowerCase(), maxBytes: 320 },
    city: {},
  },
});

// Two private primaries, gone at the end. `holdfast up` does all of this for a system.
await using postgres = await startTestPostgres({ nodes: 2, shards: 8 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(users, nodes);
const world = new World("example", systemClock);
world.bind(users, postgresDatabase(users, nodes, systemClock));

await inWorld(world, async () => {
  const byEmail = users.lookup("email");
  // The row and what leads to it change together, on the user's shard.
  const signUp = (id: string, email: string, city: string) =>
    users.at(id).write((tx) => tx.insertInto("person").values({ id, email, city }).execute(), {
      lookups: { email, city },
    });
  const told = (error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error;
    return `${error.code}, ${error.outcome}`;
  };

  await signUp("ada", "Ada@Example.com", "London");
  await signUp("alan", "alan@example.com", "London");
  console.log(`ada is on shard ${users.at("ada").index}, alan on shard ${users.at("alan").index}`);
  console.log(`ada@example.com leads to ${await byEmail.find("ada@example.com")}`);
  console.log(`London has ${(await users.lookup("city").keys("London")).join(" and ")}`);

  console.log(`a second ADA@example.com: ${await signUp("eve", "ADA@example.com", "Paris").catch(told)}`);

  // Ten want the same address at the same moment: one gets it.
  const rivals = Array.from({ length: 10 }, (_, n) => `rival-${n}`);
  const ends = await Promise.allSettled(rivals.map((id) => signUp(id, "first@example.com", "Rome")));
  const winners = rivals.filter((_, n) => ends[n]?.status === "fulfilled");
  console.log(
    `of ten rivals ${winners.length} won: ${(await byEmail.find("first@example.com")) === winners[0]}`,
  );

  // A new address: the old one is given up by the same commit, and free at once.
  await users
    .at("ada")
    .write(
      (tx) =>
        tx.updateTable("person").set({ email: "countess@example.com" }).where("id", "=", "ada").execute(),
      { lookups: { email: "countess@example.com" } },
    );
  await signUp("eve", "ada@example.com", "Paris");
  const found = await byEmail.findMany(["ada@example.com", "countess@example.com", "nobody@example.com"]);
  console.log([...found].map(([email, id]) => `${email} → ${id}`).join(", "));
});

await nodes.close();

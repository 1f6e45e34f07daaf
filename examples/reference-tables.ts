/**
 * Reference tables: small tables that every node has a copy of, so that each shard joins them where it is.
 *
 *   node examples/reference-tables.ts
 */
import { inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

interface Tables {
  customer: { id: string; country: string; plan: string };
  country: { code: string; name: string };
  plan: { id: string; name: string; cents: string };
}

const shop = database<Tables>("shop", {
  migrations: new URL("./reference-migrations/shards/", import.meta.url),
  shards: { count: 4 },
  nodes: 2,
  replicas: 0,
  reference: {
    migrations: new URL("./reference-migrations/reference/", import.meta.url),
    tables: ["country", "plan"],
  },
});

await using postgres = await startTestPostgres({ nodes: 2, shards: 4 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(shop, nodes);
const world = new World("example", systemClock);
world.bind(shop, postgresDatabase(shop, nodes, systemClock));

await inWorld(world, async () => {
  for (const id of ["ada", "alan", "grace"])
    await shop
      .at(id)
      .write((tx) => tx.insertInto("customer").values({ id, country: "de", plan: "pro" }).execute());

  /** One statement on the customer's shard; country and plan are there, too. */
  const bill = (id: string) =>
    shop
      .at(id)
      .read((db) =>
        db
          .selectFrom("customer")
          .innerJoin("plan", "plan.id", "customer.plan")
          .innerJoin("country", "country.code", "customer.country")
          .select(["country.name as country", "plan.name as plan", "plan.cents"])
          .where("customer.id", "=", id)
          .executeTakeFirstOrThrow(),
      );
  const onNode = (id: string) => postgres.config.shardMap.shards[shop.at(id).index];
  for (const id of ["ada", "alan"]) {
    const { country, plan, cents } = await bill(id);
    console.log(`${id}, on ${onNode(id)}: ${plan} in ${country}, ${cents} cents`);
  }

  const written = await shop.reference.write((tx) =>
    tx.updateTable("plan").set({ cents: "1100" }).where("id", "=", "pro").execute(),
  );
  console.log(`version ${written.version} is on ${written.current.join(" and ")}`);
  for (const id of ["ada", "alan"]) console.log(`${id}: ${(await bill(id)).cents} cents`);

  // A node that is away is no reason to fail, and never passed over in silence.
  const second = postgres.members.find((member) => member.name.startsWith("node-2"));
  await second?.kill();
  const { current, behind } = await shop.reference.write(
    (tx) => tx.updateTable("plan").set({ cents: "1200" }).where("id", "=", "pro").execute(),
    { settleMs: 500 },
  );
  console.log(`${current.join()} has it; not yet: ${behind.map((one) => `${one.node} (${one.why})`).join()}`);
  await second?.restart();
  const settled = await shop.reference.settle({ settleMs: 10_000 });
  console.log(`back again: ${settled.current.join(" and ")} have version ${settled.version}`);
});

await nodes.close();

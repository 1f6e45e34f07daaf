/**
 * A row and the event that tells of it, in one transaction: both happen, or neither. A transaction that fails
 * publishes nothing, and an event that would be published past the transaction is refused.
 *
 *   node examples/outbox.ts
 */
import { database, type HoldfastError, installWorld, system, topic } from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { migrateDatabase, openDatabaseNodes } from "holdfast/postgres";
import { openWorld } from "holdfast/runtime";
import { startTestPostgres, until } from "holdfast/testkit";
import * as v from "valibot";

const shop = database<{ purchase: { customer: string; item: string } }>("shop", {
  migrations: new URL("./outbox-migrations/", import.meta.url),
  shards: { count: 4 },
});
const Bought = v.object({ customer: v.string(), item: v.string() });
const bought = topic("bought", { schema: Bought, keyBy: ({ customer }) => customer, partitions: 1 });

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await migrateDatabase(shop, nodes);
await nodes.close();
const config = { name: "example", databases: { shop: postgres.config }, poolSize: 4 };
// Every process with a world relays: nothing else has to run.
const open = openWorld(system("example", { parts: { shop, bought } }), config, {
  clock,
  applicationName: "example",
});
installWorld(open.world);

const buy = (customer: string, item: string, fails = false) =>
  shop.at(customer).write(async (tx) => {
    await tx.insertInto("purchase").values({ customer, item }).execute();
    await bought.publish({ customer, item }, { in: tx });
    if (fails) throw new Error("the card was declined");
  });

await buy("ada", "moon lamp");
await buy("grace", "sea chart");
await buy("ada", "star map", true).catch((error: Error) => console.log(`not bought: ${error.message}`));
await buy("ada", "telescope");

await shop
  .at("ada")
  .write(() => bought.publish({ customer: "ada", item: "forgotten" }))
  .catch((error: HoldfastError) => console.log(`refused: ${error.code}`));

const port = open.world.port(bought);
const [claim] = await port.heartbeat("example", "example-1", 10_000);
const heard: string[] = [];
await until(
  async () => {
    const batch = claim && (await port.next(claim, 100));
    if (!batch) return false;
    for (const { value } of batch.messages) {
      const { customer, item } = value as v.InferOutput<typeof Bought>;
      heard.push(`${customer} bought a ${item}`);
    }
    await port.complete(claim, batch.sequence);
    return heard.length >= 3;
  },
  { what: "what was bought to be heard of" },
);
// In the order of the commits for each customer; between customers there is none.
for (const line of heard.sort()) console.log(line);
await open.close();

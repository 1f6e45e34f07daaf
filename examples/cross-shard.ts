/**
 * A transfer between two accounts on two nodes: both change or neither does, and one that comes again with its key
 * happens once.
 *
 *   node examples/cross-shard.ts
 */
import { inWorld, World } from "holdfast";
import { HoldfastError } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

interface Tables {
  account: { owner: string; cents: string };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 4 },
  nodes: 2,
  replicas: 1,
  // Without it a failover could lose one half of a transfer, so transactions across nodes are refused.
  replication: { mode: "synchronous", onReplicaLoss: "stall" },
});

await using postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(bank, nodes);
for (const node of postgres.nodes) await node.setQuorum(1); // as `holdfast up` does
const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));

async function transfer(from: string, to: string, cents: number, idempotencyKey: string): Promise<string> {
  return bank.together(
    [from, to],
    async (txs) => {
      for (const [owner, by] of [
        [from, -cents],
        [to, cents],
      ] as const) {
        await txs
          .at(owner)
          .updateTable("account")
          .set((eb) => ({ cents: eb("cents", "+", String(by)) }))
          .where("owner", "=", owner)
          .execute();
      }
      return `${cents} cents from ${from} to ${to}`;
    },
    { idempotencyKey },
  );
}

await inWorld(world, async () => {
  const nodeOf = (owner: string) => postgres.config.shardMap.shards[bank.at(owner).index];
  const ada = "ada";
  const bob = ["bob", "ben", "bea", "bo"].find((owner) => nodeOf(owner) !== nodeOf(ada)) ?? "bob";
  for (const owner of [ada, bob])
    await bank.at(owner).write((tx) => tx.insertInto("account").values({ owner, cents: "500" }).execute());
  const show = async () => {
    for (const owner of [ada, bob]) {
      const row = await bank
        .at(owner)
        .read("strong", (sql) =>
          sql.selectFrom("account").select("cents").where("owner", "=", owner).executeTakeFirst(),
        );
      console.log(`  ${owner} on ${nodeOf(owner)}: ${row?.cents} cents`);
    }
  };
  await show();
  console.log(await transfer(ada, bob, 200, "payment-1"));
  console.log(await transfer(ada, bob, 200, "payment-1"), "(again, with the same key)");
  await show();
  await transfer(ada, bob, 9_999, "payment-2").catch((error: unknown) => {
    if (error instanceof HoldfastError) console.log(`more than there is: ${error.code}, ${error.outcome}`);
  });
  await show();
});
await nodes.close();

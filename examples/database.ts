/**
 * A database: logical shards on real Postgres, one transaction a write, and an answer to "did it happen?".
 *
 *   node examples/database.ts
 */
import { HoldfastError, inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";

interface Tables {
  /** int8 comes back as a decimal string. */
  account: { owner: string; cents: string };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 8 },
});

// A private primary and its streaming replica, gone at the end. `holdfast up` does all of this for a system.
await using postgres = await startTestPostgres({ shards: 8, replicas: 1 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
const { applied } = await migrateDatabase(bank, nodes);
console.log(`migrated: ${applied} files over 8 shards`);

const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));

await inWorld(world, async () => {
  const deposit = (owner: string, cents: number, idempotencyKey: string) =>
    bank.at(owner).write(
      (tx) =>
        tx
          .insertInto("account")
          .values({ owner, cents: String(cents) })
          .onConflict((it) => it.column("owner").doUpdateSet({ cents: sql`account.cents + ${cents}` }))
          .returningAll()
          .executeTakeFirstOrThrow(),
      { idempotencyKey },
    );

  // Each call has a session: what it wrote it reads, wherever the read goes.
  await inCall(new Call(systemClock, { timeoutMs: 5_000 }), async () => {
    await deposit("ada", 500, "first deposit");
    const again = await deposit("ada", 500, "first deposit");
    console.log(`the same key twice, one deposit: ${again.owner} has ${again.cents} cents`);

    const seen = await bank.at("ada").read(async (db) => {
      const row = await db
        .selectFrom("account")
        .select("cents")
        .where("owner", "=", "ada")
        .executeTakeFirst();
      const { rows } = await sql<{ standby: boolean }>`select pg_is_in_recovery() as standby`.execute(db);
      return `${row?.cents} cents, read from the ${rows[0]?.standby ? "replica" : "primary"}`;
    });
    console.log(`a session sees its own writes: ${seen}`);
  });

  const overdrawn = bank
    .at("ada")
    .write((tx) =>
      tx.updateTable("account").set({ cents: sql`cents - 900` }).where("owner", "=", "ada").execute(),
    );
  await overdrawn.catch((error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error;
    console.log(`refused: ${error.code}, ${error.outcome}, constraint ${error.data.constraint}`);
  });

  await Promise.all(["grace", "alan", "edsger"].map((owner) => deposit(owner, 100, `welcome ${owner}`)));
  const counts = await Promise.all(
    bank
      .shards()
      .map((shard) => shard.read("strong", (db) => db.selectFrom("account").selectAll().execute())),
  );
  console.log(`accounts per shard: ${counts.map((rows) => rows.length).join(" ")}`);
});

await nodes.close();

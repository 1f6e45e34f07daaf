/**
 * Isolation: what two writes that run at once see of each other, and a read whose statements share one snapshot.
 *
 *   node examples/isolation.ts
 */
import { inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database, type Isolation } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";

interface Tables {
  doctor: { name: string; ward: string; on_call: boolean };
}

const roster = database<Tables>("roster", {
  migrations: new URL("./isolation-migrations/", import.meta.url),
  shards: { count: 2 },
  replicas: 0,
});

await using postgres = await startTestPostgres({ shards: 2 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(roster, nodes);
const world = new World("example", systemClock);
world.bind(roster, postgresDatabase(roster, nodes, systemClock));

const ward = "north";

await inWorld(world, async () => {
  /** Both want to go home; each looks whether somebody stays, and goes. */
  const bothGoHome = async (isolation: Isolation) => {
    await roster.at(ward).write(async (tx) => {
      await tx.deleteFrom("doctor").execute();
      await tx
        .insertInto("doctor")
        .values(["ada", "grace"].map((name) => ({ name, ward, on_call: true })))
        .execute();
    });
    // Neither goes on before both have looked: the worst that can happen, every time.
    const looked = { ada: Promise.withResolvers<void>(), grace: Promise.withResolvers<void>() };
    const goHome = (name: "ada" | "grace") =>
      roster.at(ward).write(
        async (tx) => {
          const onCall = await tx.selectFrom("doctor").select("name").where("on_call", "=", true).execute();
          looked[name].resolve();
          await Promise.all([looked.ada.promise, looked.grace.promise]);
          if (onCall.length < 2) return;
          await tx.updateTable("doctor").set({ on_call: false }).where("name", "=", name).execute();
        },
        { isolation },
      );
    await Promise.all([goHome("ada"), goHome("grace")]);
    const left = await roster
      .at(ward)
      .read("strong", (db) => db.selectFrom("doctor").select("name").where("on_call", "=", true).execute());
    console.log(`${isolation}: ${left.length === 0 ? "nobody is on call" : `${left.length} is on call`}`);
  };
  await bothGoHome("repeatable-read");
  await bothGoHome("serializable");

  const changes = (isolation: "read-committed" | "repeatable-read") =>
    roster.at(ward).read({ level: "strong", isolation }, async (db) => {
      const count = async () => {
        const { rows } = await sql<{ n: number }>`select count(*)::int as n from doctor`.execute(db);
        return rows[0]?.n ?? 0;
      };
      const before = await count();
      const name = `alan, ${isolation}`;
      await roster
        .at(ward)
        .write((tx) => tx.insertInto("doctor").values({ name, ward, on_call: true }).execute());
      return (await count()) - before;
    });
  console.log(`a read-committed read saw ${await changes("read-committed")} row appear`);
  console.log(`a repeatable-read read saw ${await changes("repeatable-read")} rows appear`);
});

await nodes.close();

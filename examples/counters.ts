/**
 * Numbers and copies that stay right: counts, sums and copied columns kept by the database, a bounded increment in
 * one statement, and a counter in slots for many writers.
 *
 *   node examples/counters.ts
 */
import { installWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { increment, repairKept, slottedCounter, verifyKept } from "holdfast/rows";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";

interface Tables {
  author: { id: string; name: string; stock?: number };
  post: { author: string; id: number; author_name?: string; likes?: number; points?: string };
  post_like: { author: string; post: number; who: string; points?: number };
}

const blog = database<Tables>("blog", {
  migrations: new URL("./counters-migrations/", import.meta.url),
  shards: { count: 4 },
  replicas: 0,
});
const views = slottedCounter(blog, "views", { slots: 8 });

await using postgres = await startTestPostgres({ shards: 4 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(blog, nodes);
const world = new World("example", systemClock);
world.bind(blog, postgresDatabase(blog, nodes, systemClock));
installWorld(world);

const ada = blog.at("ada");
const show = async (what: string) => {
  const post = await ada.read((db) => db.selectFrom("post").selectAll().executeTakeFirstOrThrow());
  console.log(`${what}: ${post.likes} likes, ${post.points} points, by ${post.author_name}`);
};

await ada.write(async (tx) => {
  await tx.insertInto("author").values({ id: "ada", name: "Ada" }).execute();
  await tx.insertInto("post").values({ author: "ada", id: 1 }).execute();
});
const like = (who: string, points: number) =>
  ada.write((tx) =>
    tx
      .insertInto("post_like")
      .values({ author: "ada", post: 1, who, points })
      .onConflict((on) => on.columns(["author", "post", "who"]).doUpdateSet({ points }))
      .execute(),
  );
await Promise.all(["bob", "cy", "dee"].map((who, n) => like(who, n + 1)));
await like("bob", 10); // again: the same like, other points
await show("three likes, one twice");

await ada.write((tx) => tx.updateTable("author").set({ name: "Ada L." }).execute());
await ada.write((tx) => tx.deleteFrom("post_like").where("who", "=", "dee").execute());
await show("renamed, and one like less");

// A hand that goes around the triggers is found out.
await ada.write(async (tx) => {
  await sql`set local session_replication_role to replica`.execute(tx);
  await tx.updateTable("post").set({ likes: 99 }).execute();
});
console.log(
  `drifted: ${JSON.stringify((await verifyKept(blog)).map(({ table, column, kept, expected }) => ({ table, column, kept, expected })))}`,
);
console.log(`repaired: ${await repairKept(blog)}`);

// Ten customers, five in stock: nobody gets the sixth.
const sales = await Promise.all(
  Array.from({ length: 10 }, () =>
    ada.write((tx) => increment(tx, "author", { where: { id: "ada" }, column: "stock", by: -1, min: 0 })),
  ),
);
console.log(
  `sold: ${sales.filter((sale) => sale.ok).length}, refused: ${sales.filter((sale) => !sale.ok).length}`,
);

await Promise.all(Array.from({ length: 100 }, () => views.add("front page")));
console.log(`views: ${await views.read("front page")}`);

installWorld(undefined);
await nodes.close();

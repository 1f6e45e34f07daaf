/**
 * Sharding: how a key finds its shard, queries that find theirs, and questions to all shards.
 *
 *   node examples/sharding.ts
 */
import { HoldfastError, inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { type Database, database, type ShardOptions } from "holdfast/database";
import { firstShardMap } from "holdfast/placement";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

interface Tables {
  /** int8 comes back as a decimal string. */
  note: { tenant: string; id: string; body: string; at: Date };
}

const declare = (name: string, shards: ShardOptions): Database<Tables> =>
  database(name, {
    migrations: new URL("./sharding-migrations/", import.meta.url),
    shards: { ...shards, keys: { note: ["tenant", "id"] } },
    nodes: 2,
    replicas: 0,
  });

// Both parts of the key decide: notes of one tenant are spread over all shards.
const spread = declare("spread", { by: "hash", count: 8 });
// The first part decides: all notes of a tenant are together.
const together = declare("together", { by: "hash", count: 8, keyParts: 1 });
// Tenants in the order of their names: shard 0 has those before "g", shard 1 "g" to "p", shard 2 the rest.
const alphabet = declare("alphabet", { by: "range", of: "text", bounds: ["g", "p"] });
// Each tenant is put somewhere once. Two groups, two nodes: each has its own.
const regions = declare("regions", { by: "directory", groups: { eu: 4, us: 4 } });

await using postgres = await startTestPostgres({ nodes: 2 });
const world = new World("example", systemClock);
const opened = await Promise.all(
  [spread, together, alphabet, regions].map(async (db) => {
    const fresh = await postgres.freshDatabase();
    const names = fresh.nodes.map((node) => node.name);
    const shardMap = firstShardMap(db.options.strategy, names, db.options.shardCount);
    const nodes = openDatabaseNodes(
      { ...fresh, shardMap },
      { clock: systemClock, applicationName: "example" },
    );
    await migrateDatabase(db, nodes);
    world.bind(db, postgresDatabase(db, nodes, systemClock));
    return nodes;
  }),
);

await inWorld(world, async () => {
  const tenants = ["acme", "globex", "initech", "umbrella"];
  await regions.assign("acme", { group: "eu" });
  for (const tenant of tenants.slice(1)) await regions.assign(tenant, { group: "us" });

  for (const db of [spread, together, alphabet, regions]) {
    for (const [t, tenant] of tenants.entries()) {
      for (const id of [1, 2, 3]) {
        const at = new Date(Date.UTC(2026, 0, 10 * id + t));
        // The values say which shard the row belongs to.
        await db.route((sql) =>
          sql.insertInto("note").values({ tenant, id: String(id), body: `note ${id} of ${tenant}`, at }),
        );
      }
    }
    const shards = await Promise.all([1, 2, 3].map((id) => db.at(["acme", id]).locate()));
    console.log(`${db.name}: the notes of acme are on shards ${shards.join(", ")}`);
  }

  const one = await together.route("strong", (sql) =>
    sql
      .selectFrom("note")
      .select(({ fn }) => fn.countAll().as("notes"))
      .where("tenant", "=", "acme"),
  );
  console.log(`within a tenant, one shard (${one.shards}) counts: ${one.rows[0]?.notes} notes`);

  const nowhere = spread.route((sql) => sql.selectFrom("note").selectAll().where("tenant", "=", "acme"));
  await nowhere.catch((error: unknown) => {
    if (!(error instanceof HoldfastError)) throw error;
    console.log(`refused: ${error.message}`);
  });

  let after: string | undefined;
  do {
    const page = await spread.everywhere(
      {
        orderBy: [
          ["at", "desc"],
          ["tenant", "asc"],
          ["id", "asc"],
        ],
        limit: 5,
        after,
      },
      (sql) => sql.selectFrom("note").select(["tenant", "id", "at"]).where("tenant", "!=", "umbrella"),
    );
    console.log(`newest first: ${page.rows.map(({ tenant, id }) => `${tenant}/${id}`).join(" ")}`);
    after = page.next;
  } while (after !== undefined);

  const shards = alphabet.between("a", "h");
  const few = await alphabet.everywhere(
    {
      orderBy: [
        ["tenant", "asc"],
        ["id", "asc"],
      ],
      shards,
    },
    (sql) =>
      sql.selectFrom("note").select(["tenant", "id"]).where("tenant", ">=", "a").where("tenant", "<", "h"),
  );
  console.log(
    `tenants from a to h are on shards ${shards.map(({ index }) => index)}: ${few.rows.length} notes`,
  );

  const { rows } = await regions.totals({}, (sql) =>
    sql
      .selectFrom("note")
      .select(({ fn }) => ["tenant", fn.countAll().as("notes"), fn.max("at").as("newest")])
      .groupBy("tenant"),
  );
  for (const { tenant, notes, newest } of rows)
    console.log(`${tenant}: ${notes} notes, newest ${newest.toISOString()}`);

  await regions
    .at("hooli")
    .read((sql) => sql.selectFrom("note").selectAll().execute())
    .catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
      console.log(`refused: ${error.message}`);
    });
});

await Promise.all(opened.map((nodes) => nodes.close()));

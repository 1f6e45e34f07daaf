/**
 * Postgres servers of your own: the node is given by its hosts, and which of them takes writes is found by asking.
 *
 *   node examples/own-postgres.ts
 */
import { HoldfastError, inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { installFramework, migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres, until } from "holdfast/testkit";
import pg from "pg";

interface Tables {
  account: { owner: string; cents: string };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 1 },
});

// Stands for your servers; Holdfast is told nothing but their addresses, and who is who it is not told.
await using yours = await startTestPostgres({ replicas: 1, shards: 1 });
const [node] = yours.config.nodes;
const [replica] = node?.replicas ?? [];
if (!node || !replica) throw new Error("there are two servers");

const nodes = openDatabaseNodes(
  {
    nodes: [{ name: "node-1", hosts: [replica, node.primary] }],
    shardMap: { epoch: 1, shards: ["node-1"] },
  },
  {
    clock: systemClock,
    applicationName: "own-postgres",
    hostsChanged: ({ hosts, noWrites }) =>
      console.log(`${hosts.map(({ role }) => role).join(", ")}${noWrites ? ": writes wait" : ""}`),
  },
);
await installFramework(nodes);
await migrateDatabase(bank, nodes);
const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));
await yours.caughtUp();

const open = (owner: string) =>
  bank.at(owner).write((tx) => tx.insertInto("account").values({ owner, cents: "500" }).execute());

await inWorld(world, async () => {
  await open("ada");
  console.log("ada has an account");
  // What Patroni or a managed service does: the primary dies, and a replica is promoted.
  await yours.members[0]?.kill();
  const writing = open("grace");
  await until(() => nodes.hosts()[0]?.noWrites !== undefined);
  const client = new pg.Client({ ...replica });
  await client.connect();
  await client.query("select pg_promote()");
  await client.end();
  await writing;
  console.log("grace has one too: her write waited for the promotion");
});
await nodes.close();

// A list that cannot be right is told at once, all of it.
try {
  openDatabaseNodes(
    {
      nodes: [{ name: "node-1", hosts: [{ ...replica, host: "a,b", port: 0 }] }],
      shardMap: { epoch: 1, shards: [] },
    },
    { clock: systemClock, applicationName: "own-postgres" },
  );
} catch (error) {
  if (error instanceof HoldfastError) console.log(`${error.code}: ${error.message}`);
}

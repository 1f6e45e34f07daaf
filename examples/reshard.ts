/**
 * Resharding: a shard moves to another node while clients write to it and read their writes; then it is taken back.
 *
 *   node examples/reshard.ts
 */
import { inWorld, World } from "holdfast";
import { Call, inCall, Session } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, openReshard, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";

interface Tables {
  account: { owner: string; cents: string };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 4 },
  nodes: 2,
});

await using postgres = await startTestPostgres({ nodes: 2, replicas: 1, shards: 4 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(bank, nodes);
const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));

let moving = true;
let acknowledged = 0;
let unseen = 0;
let slowestMs = 0;
const shard = inWorld(world, () => bank.at("ada").index);

/** One client in one session: adds a cent, and reads it back. */
async function client(): Promise<void> {
  const session = new Session();
  while (moving) {
    await inCall(new Call(systemClock, { timeoutMs: 5_000, session }), async () => {
      const beganAtMs = systemClock.monotonicMs();
      const { cents } = await bank.at("ada").write((tx) =>
        tx
          .insertInto("account")
          .values({ owner: "ada", cents: "1" })
          .onConflict((it) => it.column("owner").doUpdateSet({ cents: sql`account.cents + 1` }))
          .returning("cents")
          .executeTakeFirstOrThrow(),
      );
      acknowledged++;
      slowestMs = Math.max(slowestMs, systemClock.monotonicMs() - beganAtMs);
      const seen = await bank
        .at("ada")
        .read((db) => db.selectFrom("account").select("cents").executeTakeFirst());
      if (Number(seen?.cents ?? 0) < Number(cents)) unseen++;
    });
  }
}
const clients = inWorld(world, () => Promise.all([client(), client(), client()]));

const before = nodes.map.place(shard);
await using resharder = await openReshard(bank, postgres.config, { clock: systemClock });
const to = before.node === "node-1" ? "node-2" : "node-1";
console.log(`shard ${shard} is on ${before.node}; it goes to ${to} while three clients use it`);
const [move] = await resharder.move({ nodes: [to], shards: [shard] });
console.log(
  `moved: ${move?.data.bytes} bytes copied, ${move?.data.verified?.rows} rows compared, ` +
    `writers waited ${move?.data.cutoverMs} ms`,
);
const [back] = await resharder.back([shard]);
console.log(
  `taken back to ${back?.target}, with what was written in between; waited ${back?.data.cutoverMs} ms`,
);
moving = false;
await clients;
await resharder.finish();

const total = await inWorld(world, () =>
  bank.at("ada").read("strong", (db) => db.selectFrom("account").select("cents").executeTakeFirst()),
);
console.log(
  `${acknowledged} writes acknowledged, ${total?.cents} counted, ${unseen} not seen by their session`,
);
console.log(`slowest write ${Math.round(slowestMs)} ms; the map is at epoch ${resharder.map.epoch}`);
await nodes.close();

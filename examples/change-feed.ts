/**
 * A change feed: what is committed to a table, as a topic. A relay reads the log of each node; whoever consumes the
 * topic keeps a copy here that is compared with the table at the end.
 *
 *   node examples/change-feed.ts
 */
import { HoldfastError, inWorld, World } from "holdfast";
import { systemClock } from "holdfast/clock";
import { type Change, database } from "holdfast/database";
import {
  feedNotice,
  migrateDatabase,
  openChangeRelay,
  openDatabaseNodes,
  postgresDatabase,
  postgresTopic,
} from "holdfast/postgres";
import { startTestPostgres, until } from "holdfast/testkit";

interface Tables {
  account: { owner: string; cents: string };
}
type Account = Tables["account"];

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 2 },
});
const accountChanges = bank.changes("account", { from: "snapshot", partitions: 2 });

await using postgres = await startTestPostgres({ shards: 2 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(bank, nodes);
const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));
const topic = postgresTopic(accountChanges, nodes, systemClock);
world.bind(accountChanges, topic);

const write = (owner: string, cents: string) =>
  inWorld(world, () =>
    bank.at(owner).write((tx) =>
      tx
        .insertInto("account")
        .values({ owner, cents })
        .onConflict((it) => it.column("owner").doUpdateSet({ cents }))
        .execute(),
    ),
  );
await write("ada", "100"); // before the feed begins: told as a row that is there

// `holdfast up` runs it by itself; here it runs beside the program, with a login that may replicate.
const relay = openChangeRelay([{ feed: accountChanges, nodes }], {
  tell: (event) => console.log(feedNotice(event).join(": ")),
});
await relay.established;
// What a worker does with its batches: `worker("copy", { from: accountChanges, load })`.
const copy = new Map<string, string>();
const take = async () => {
  for (const claim of await topic.heartbeat("copy", "example", 10_000)) {
    for (let batch = await topic.next(claim, 100); batch; batch = await topic.next(claim, 100)) {
      for (const message of batch.messages) {
        const change = message.value as Change<Account>;
        if (!("key" in change)) continue;
        console.log(`${change.op} ${change.key.owner} ${change.after?.cents ?? ""}`.trim());
        if (change.after) copy.set(change.after.owner, change.after.cents);
        else copy.delete(String(change.key.owner));
      }
      await topic.complete(claim, batch.sequence);
    }
  }
};
await until(async () => {
  await take();
  return copy.get("ada") === "100";
});
await write("grace", "200");
await write("ada", "150");
await inWorld(world, () =>
  bank.at("grace").write((tx) => tx.deleteFrom("account").where("owner", "=", "grace").execute()),
);
await write("linus", "300");

await until(async () => {
  await take();
  return copy.has("linus") && copy.get("ada") === "150" && !copy.has("grace");
});

const rows = await inWorld(world, () =>
  Promise.all(
    bank
      .shards()
      .map((shard) => shard.read("strong", (db) => db.selectFrom("account").selectAll().execute())),
  ),
);
const table = Object.fromEntries(rows.flat().map(({ owner, cents }) => [owner, cents]));
console.log(
  "the table:",
  JSON.stringify(table),
  "the copy:",
  JSON.stringify(Object.fromEntries([...copy].sort())),
);
const [status] = await relay.status();
console.log(`relayed ${status?.told} messages of ${status?.node}, ${status?.state}`);
const refused = await inWorld(world, () => accountChanges.publish([])).catch((error: HoldfastError) => error);
console.log(refused instanceof HoldfastError ? refused.message : "published");

await relay.close();
await topic.close();
await nodes.close();

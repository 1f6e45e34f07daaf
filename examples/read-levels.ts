/**
 * Read levels: what each promises, shown on a replica whose replay stands still.
 *
 *   node examples/read-levels.ts
 */
import { inWorld, World } from "holdfast";
import { Call, inCall, Session } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database, type ReadLevel, type ReadOptions } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { sql } from "kysely";

interface Tables {
  account: { owner: string; cents: string };
}

const bank = database<Tables>("bank", {
  migrations: new URL("./database-migrations/", import.meta.url),
  shards: { count: 1 },
  // How long a replica that is behind is waited for before the primary is asked.
  reads: { level: "session", waitMs: 20 },
});

await using postgres = await startTestPostgres({ shards: 1, replicas: 1 });
const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "example" });
await migrateDatabase(bank, nodes);
const world = new World("example", systemClock);
world.bind(bank, postgresDatabase(bank, nodes, systemClock));
await postgres.caughtUp();

const onReplica = (text: string) =>
  nodes.replica(nodes.home)?.use((session) => session.send({ text }).then(() => {}));
await onReplica("select pg_wal_replay_pause()");

const cents = (how: ReadLevel | ReadOptions) =>
  bank.at("ada").read(how, async (db) => {
    const row = await db.selectFrom("account").select("cents").where("owner", "=", "ada").executeTakeFirst();
    const { rows } = await sql<{ standby: boolean }>`select pg_is_in_recovery() as standby`.execute(db);
    return `${row ? `${row.cents} cents` : "no account"}, from the ${rows[0]?.standby ? "replica" : "primary"}`;
  });

await inWorld(world, async () => {
  const writer = new Session();
  await inCall(new Call(systemClock, { session: writer }), () =>
    bank.at("ada").write((tx) => tx.insertInto("account").values({ owner: "ada", cents: "500" }).execute()),
  );
  // What a worker's call knows after it was handed a message that the writer published.
  const consumer = new Session();
  consumer.hear(writer);
  for (const [who, session] of [
    ["the writer", writer],
    ["a consumer of its message", consumer],
    ["a stranger", new Session()],
  ] as const) {
    for (const level of [
      "eventual",
      "read-your-writes",
      "monotonic",
      "session",
      "causal",
      "strong",
    ] as const) {
      // A copy, because a read adds to what its session knows.
      const own = new Session();
      own.merge(session);
      const seen = await inCall(new Call(systemClock, { session: own }), () => cents(level));
      console.log(`${who} at ${level}: ${seen}`);
    }
  }
  // Nobody is asked to believe a replica that is too far behind.
  const bounded = { level: "eventual", lagMsMax: 50 } as const;
  let seen = await cents(bounded);
  while (seen.endsWith("replica")) seen = await cents(bounded);
  console.log(`eventual, within 50 ms: ${seen}`);
});

await onReplica("select pg_wal_replay_resume()");
await nodes.close();

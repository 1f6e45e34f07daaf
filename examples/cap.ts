/**
 * CAP, shown: one database declared to stay consistent (CP), one to stay available (AP), each on a primary and two
 * replicas. The primary is cut off from its replicas, then from its clients too, then lost. Who answers what?
 *
 *   node examples/cap.ts
 */
import { inWorld, World } from "holdfast";
import { Call, HoldfastError, inCall, Session } from "holdfast/call";
import { systemClock } from "holdfast/clock";
import { database, type ReadLevel, type ReplicationOptions } from "holdfast/database";
import { migrateDatabase, openDatabaseNodes, postgresDatabase } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";

interface Tables {
  account: { owner: string; cents: string };
}

/** An answer that takes longer is none: every call has this deadline. */
const deadlineMs = 800;

async function show(choice: string, replication: ReplicationOptions): Promise<string[][]> {
  await using postgres = await startTestPostgres({ replicas: 2, shards: 1 });
  const [node] = postgres.nodes;
  const [primary] = postgres.members;
  if (!node || !primary) throw new Error("there is no server");
  const bank = database<Tables>("bank", {
    migrations: new URL("./database-migrations/", import.meta.url),
    shards: { count: 1 },
    replicas: 2,
    replication,
  });
  const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "cap" });
  await migrateDatabase(bank, nodes);
  // What `holdfast up` does for a database that is declared synchronous.
  if (bank.options.replication.mode === "synchronous") await node.setQuorum(bank.options.replication.quorum);
  const world = new World("cap", systemClock);
  world.bind(bank, postgresDatabase(bank, nodes, systemClock));

  const client = new Session();
  const ask = async (run: () => Promise<string>, session = client): Promise<string> => {
    try {
      return await inWorld(world, () =>
        inCall(new Call(systemClock, { timeoutMs: deadlineMs, session }), run),
      );
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      if (error.code === "HOLDFAST_WRITE_LOST") return "is told: lost";
      return error.outcome === "unknown" ? "unknown" : "refused";
    }
  };
  const write = (cents: string) => () =>
    bank.at("ada").write(async (tx) => {
      await tx
        .insertInto("account")
        .values({ owner: "ada", cents })
        .onConflict((conflict) => conflict.column("owner").doUpdateSet({ cents }))
        .execute();
      return `takes ${cents}`;
    });
  const read = (level: ReadLevel) => async () => {
    const row = await bank
      .at("ada")
      .read(level, (sql) =>
        sql.selectFrom("account").select("cents").where("owner", "=", "ada").executeTakeFirst(),
      );
    return `${row?.cents ?? "nothing"}`;
  };

  const rows: string[][] = [];
  /** The client writes, then reads in the same session; strangers, who know of no write, read in their own. */
  const record = async (situation: string, cents: string, replicated?: () => Promise<void>) => {
    const written = await ask(write(cents));
    await replicated?.();
    const session = await ask(read("session"));
    const strong = await ask(read("strong"), new Session());
    const eventual = await ask(read("eventual"), new Session());
    rows.push([choice, situation, written, session, strong, eventual]);
  };

  await record("all is well", "100", () => postgres.caughtUp());

  // The processes that send the log to the replicas stand still; everything else runs.
  const senders = await nodes.primary(nodes.home).use(async (session) => {
    const { rows } = await session.send<{ pid: number }>({ text: "select pid from pg_stat_replication" });
    return rows.map(({ pid }) => pid);
  });
  for (const pid of senders) process.kill(pid, "SIGSTOP");
  await record("cut off from its replicas", "200");

  await primary.pause();
  await record("cut off from clients too", "300");

  await node.killPrimary();
  await node.failOver();
  await nodes.close();
  const after = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "cap" });
  world.bind(bank, postgresDatabase(bank, after, systemClock));
  await record("lost; a replica takes over", "400");
  await after.close();
  return rows;
}

const head = ["", "the primary is", "write", "session read", "strong read", "eventual read"];
const rows = [
  head,
  ...(await show("CP", { mode: "synchronous", quorum: 1, onReplicaLoss: "stall" })),
  ...(await show("AP", { mode: "asynchronous" })),
];
const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
for (const row of rows)
  console.log(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
console.log(`
CP: synchronous, a quorum of 1 of 2 replicas, stall without it. AP: asynchronous.
"unknown": the write waits for a replica; it may come about when one is back, and nobody says that it did.
"is told: lost": HOLDFAST_WRITE_LOST, once, to the session that had the lost write acknowledged.`);

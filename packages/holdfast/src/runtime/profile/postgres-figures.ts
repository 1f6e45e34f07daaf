/**
 * What a Postgres node of this machine takes, through the parts that use it: small transactions and reads by key of a
 * database part, messages of a topic. Durable, on the project's disk; client and server share the processors, so a
 * node of its own does more.
 */
import { rm } from "node:fs/promises";
import { Call, HoldfastError, inCall } from "../../call/index.ts";
import { randomInt } from "../../clock/index.ts";
import type { DatabaseConfig } from "../../engines/postgres/config.ts";
import { postgresDatabase } from "../../engines/postgres/database.ts";
import { type RunningNode, startNode } from "../../engines/postgres/embedded/index.ts";
import { readNodeRecord } from "../../engines/postgres/embedded/node-record.ts";
import { installFramework } from "../../engines/postgres/install.ts";
import { migrateDatabase } from "../../engines/postgres/migrate.ts";
import { openDatabaseNodes } from "../../engines/postgres/nodes.ts";
import { postgresTopic } from "../../engines/postgres/topic.ts";
import { figureOf, type ProfileFigure } from "../../load/profile/index.ts";
import { database, inWorld, topic, World } from "../../parts/index.ts";
import type { TopicPort } from "../../parts/topic/index.ts";
import { millisecondsEach, type Rounds, ratesOf } from "./rounds.ts";

interface Tables {
  item: { code: string; url: string; visits: number };
}

interface Event {
  readonly code: string;
  readonly at: number;
}

const poolSize = 16;
const nodeName = "profile";
const shardCount = 4;
const items = database<Tables>("profile-items", {
  migrations: new URL("./migrations/", import.meta.url),
  shards: { count: shardCount },
});
const events = topic("profile-events", {
  schema: {
    "~standard": {
      version: 1 as const,
      vendor: "holdfast",
      validate: (value: unknown) => ({ value: value as Event }),
      types: {} as { readonly input: Event; readonly output: Event },
    },
  },
  keyBy: (event) => event.code,
  partitions: 8,
});

export async function postgresFigures(
  rounds: Rounds,
  dir: string,
  progress: (text: string) => void,
): Promise<ProfileFigure[]> {
  const { clock, signal } = rounds;
  progress("Starting a Postgres server to measure");
  let node: RunningNode | undefined;
  /** Another profile is being taken in this project, with its server in the same place. */
  let othersFolder = false;
  try {
    node = await startNode({
      name: nodeName,
      dir,
      clock,
      signal,
      onProgress: progress,
      sharedBuffersMiB: 128,
    });
    await node.createDatabase(items.name);
    return await measure(node, rounds, progress);
  } catch (error) {
    othersFolder = error instanceof HoldfastError && error.code === "HOLDFAST_POSTGRES_IN_USE";
    throw error;
  } finally {
    await node?.stop();
    if (!othersFolder) await removeNode(dir);
  }
}

async function measure(node: RunningNode, rounds: Rounds, progress: (text: string) => void) {
  const { clock } = rounds;
  const nodes = openDatabaseNodes(configOf(node), { clock, applicationName: "holdfast profile", poolSize });
  try {
    await installFramework(nodes);
    await migrateDatabase(items, nodes);
    const log = postgresTopic(events, nodes, clock);
    try {
      const world = new World("profile", clock);
      world.bind(items, postgresDatabase(items, nodes, clock));
      world.bind(events, log);
      return await inWorld(world, async () => [
        ...(await databaseFigures(rounds, progress)),
        ...(await topicFigures(rounds, log, progress)),
      ]);
    } finally {
      await log.close();
    }
  } finally {
    await nodes.close();
  }
}

async function databaseFigures(rounds: Rounds, progress: (text: string) => void): Promise<ProfileFigure[]> {
  const { clock } = rounds;
  const codes: string[] = [];
  const write = asCall(clock, () => {
    const code = Buffer.from(clock.random.bytes(9)).toString("base64url");
    codes.push(code);
    const row = { code, url: "https://example.com/a/page?with=query", visits: 0 };
    return items.at(code).write((tx) => tx.insertInto("item").values(row).execute());
  });
  const read = asCall(clock, async () => {
    const code = codes[randomInt(clock.random, codes.length)] as string;
    const row = await items
      .at(code)
      .read((sql) => sql.selectFrom("item").selectAll().where("code", "=", code).executeTakeFirst());
    if (row?.code !== code) throw new Error(`row ${code} was written and not read back`);
  });
  progress("Measuring writes of a database");
  const writes = await ratesOf(rounds, poolSize, write);
  const loneWrites = await ratesOf(rounds, 1, write);
  // What was under way when a round ended is committed: reads ask for any of them.
  progress("Measuring reads of a database");
  const reads = await ratesOf(rounds, poolSize, read);
  const loneReads = await ratesOf(rounds, 1, read);
  const many = `${poolSize} in flight, Postgres on this machine, client included`;
  const lone = "one after the other, over loopback";
  return [
    figureOf({ id: "database.reads", title: "reads by key of a database", unit: "/s", how: many }, reads),
    figureOf(
      { id: "database.read-ms", title: "one read by key", unit: "ms", how: lone },
      millisecondsEach(loneReads),
    ),
    figureOf(
      {
        id: "database.writes",
        title: "small write transactions of a database",
        unit: "/s",
        how: `${many}, durable`,
      },
      writes,
    ),
    figureOf(
      { id: "database.write-ms", title: "one small write transaction", unit: "ms", how: `${lone}, durable` },
      millisecondsEach(loneWrites),
    ),
  ];
}

async function topicFigures(
  rounds: Rounds,
  log: TopicPort,
  progress: (text: string) => void,
): Promise<ProfileFigure[]> {
  const { clock } = rounds;
  let published = 0;
  const publish = asCall(clock, async () => {
    await events.publish({ code: `code-${randomInt(clock.random, 1_000)}`, at: published });
    published++;
  });
  progress("Measuring a topic: publishing");
  const lone = await ratesOf(rounds, 1, publish);
  const writes = await ratesOf(rounds, publishersMax, publish);
  progress("Measuring a topic: consuming");
  const reads: number[] = [];
  for (let round = 0; round < rounds.rounds; round++) {
    rounds.signal.throwIfAborted();
    const startMs = clock.monotonicMs();
    const taken = await consumeAll(log, `reader-${round}`);
    reads.push((taken * 1_000) / (clock.monotonicMs() - startMs));
    if (taken !== published) throw new Error(`${published} messages were published and ${taken} came`);
  }
  return [
    figureOf(
      {
        id: "topic.writes",
        title: "messages published to a topic",
        unit: "/s",
        how: `${publishersMax} in flight, durable, client included`,
      },
      writes,
    ),
    figureOf(
      { id: "topic.ms", title: "one publish", unit: "ms", how: "one after the other, durable" },
      millisecondsEach(lone),
    ),
    figureOf(
      {
        id: "topic.reads",
        title: "messages consumed from a topic",
        unit: "/s",
        how: `recorded batches of ${batchMax}, each round from the first message`,
      },
      reads,
    ),
  ];
}

const publishersMax = 64;
const batchMax = 500;

/** Everything that was ever published, by a consumer of its own: partitions side by side, as a worker takes them. */
async function consumeAll(log: TopicPort, consumer: string): Promise<number> {
  const claims = await log.heartbeat(consumer, "profile", 600_000);
  let taken = 0;
  await Promise.all(
    claims.map(async (claim) => {
      for (;;) {
        const batch = await log.next(claim, batchMax);
        if (!batch) return;
        taken += batch.messages.length;
        await log.complete(claim, batch.sequence);
      }
    }),
  );
  return taken;
}

/** Each operation in a call of its own, as in a service. */
function asCall<T>(clock: Rounds["clock"], run: () => Promise<T>): () => Promise<T> {
  return async () => {
    using call = new Call(clock, { timeoutMs: 30_000 });
    return await inCall(call, run);
  };
}

function configOf(node: RunningNode): DatabaseConfig {
  return {
    nodes: [node.endpoints(items.name)],
    shardMap: { epoch: 1, shards: Array.from({ length: shardCount }, () => nodeName) },
  };
}

/** Its data may lie elsewhere, where the server's own user can reach it: the record says where. */
async function removeNode(dir: string): Promise<void> {
  const record = await readNodeRecord(dir);
  if (record) await rm(record.serversDir, { recursive: true, force: true });
  await rm(dir, { recursive: true, force: true });
}

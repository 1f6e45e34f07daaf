/**
 * What `{ in: tx }` costs: the same write with and without a message in its transaction, in turns; and how long after
 * the write the message is in the topic, where the relay of this process brings it.
 */
import { database, inWorld, system, topic, worker } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { type Random, systemClock } from "holdfast/clock";
import { migrateDatabase, openDatabaseNodes } from "holdfast/postgres";
import type { TestPostgres } from "holdfast/testkit";
import { sql } from "kysely";
import { consumeTopic } from "../../packages/holdfast/src/runtime/consume.ts";
import { openWorld } from "../../packages/holdfast/src/runtime/open-world.ts";
import { type BenchSize, type Figure, median } from "../bench.ts";
import { nanosecondsEach, perSecond } from "../side-by-side.ts";
import { type Click, clickSchema, drawClick } from "./click.ts";
import { concurrently } from "./flow.ts";

interface Tables {
  row: { id: number; code: string };
}

export async function inTransaction(
  postgres: TestPostgres,
  size: BenchSize,
  random: Random,
): Promise<{ readonly figures: readonly Figure[]; readonly checked: string }> {
  const db = database<Tables>("in-tx", { shards: { count: 4 } });
  const bought = topic("bought", { schema: clickSchema, keyBy: (click) => click.code, partitions: 8 });
  const reader = worker<Click>("reader", {
    from: bought,
    batch: 500,
    load: () => Promise.reject(new Error("it runs here")),
  });
  const config = await postgres.freshDatabase({ shards: 4 });
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bench prepare" });
  await migrateDatabase(db, nodes);
  await nodes.close();
  const opened = openWorld(
    system("in-tx", { parts: { db, bought, reader } }),
    { name: "in-tx", databases: { "in-tx": config }, poolSize: 20 },
    { clock: systemClock, applicationName: "bench in-tx" },
  );
  const { world } = opened;
  const stop = new AbortController();
  const begun = new Map<string, number>();
  const delays: number[] = [];
  let came = 0;
  const consuming = consumeTopic<Click>({
    worker: reader,
    topic: world.port(bought),
    clock: systemClock,
    world,
    signal: stop.signal,
    memberName: "bench-1",
    async handler(batch) {
      for (const { value } of batch.messages) {
        came++;
        const beganMs = begun.get(value.referrer);
        if (beganMs !== undefined) delays.push(systemClock.monotonicMs() - beganMs);
      }
    },
  });
  let published = 0;
  const write = async (publishes: boolean, referrer = "") => {
    using call = new Call(systemClock, { timeoutMs: 10_000 });
    const click = { ...drawClick(random), referrer };
    if (publishes) published++;
    await inCall(call, () =>
      db.at(click.code).write(async (tx) => {
        await sql`insert into row (code) values (${click.code})`.execute(tx);
        if (publishes) await bought.publish(click, { in: tx });
      }),
    );
  };
  try {
    return await inWorld(world, async () => {
      for (const shard of db.shards()) {
        await shard.write(async (tx) => {
          await sql`create table row (id int generated always as identity primary key, code text)`.execute(
            tx,
          );
        });
      }
      const figures: Figure[] = [];
      const rounds = size === "smoke" ? 1 : 5;
      for (const inFlight of [1, 16]) {
        const operations = size === "smoke" ? 32 : inFlight === 1 ? 500 : 4_000;
        const ns = await nanosecondsEach(
          { rounds, operations },
          {
            with: (count) => concurrently(inFlight, count, () => write(true)),
            without: (count) => concurrently(inFlight, count, () => write(false)),
          },
        );
        const name = `write with { in: tx }, ${inFlight} in flight`;
        figures.push(
          { name, unit: "writes/s", value: perSecond(ns.with), better: "higher" },
          {
            name: `the same write without, ${inFlight} in flight`,
            unit: "writes/s",
            value: perSecond(ns.without),
            better: "higher",
            peer: name,
          },
        );
      }
      await arrived();
      const messages = size === "smoke" ? 10 : 500;
      for (let sent = 0; sent < messages; sent++) {
        begun.set(`timed ${sent}`, systemClock.monotonicMs());
        await write(true, `timed ${sent}`);
        await systemClock.sleep(20 + 20 * random.next());
      }
      await arrived();
      delays.sort((a, b) => a - b);
      const p99 = delays[Math.floor(delays.length * 0.99)] ?? 0;
      figures.push(
        { name: "write to delivery, p50", unit: "ms", value: median(delays), better: "lower" },
        { name: "write to delivery, p99", unit: "ms", value: p99, better: "lower" },
      );
      if (came !== published) throw new Error(`${came} messages came of ${published}`);
      return { figures, checked: `${published} messages of transactions arrived, each once` };
    });
  } finally {
    stop.abort();
    await consuming;
    await opened.close();
  }

  async function arrived(): Promise<void> {
    const startMs = systemClock.monotonicMs();
    while (came < published) {
      if (systemClock.monotonicMs() - startMs > 60_000)
        throw new Error(`${came} messages came of ${published} within a minute`);
      await systemClock.sleep(10);
    }
  }
}

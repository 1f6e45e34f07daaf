/**
 * Publishing messages one by one, and consuming them in batches: a topic, beside `pg` by hand. By hand a publish
 * is one INSERT (its own commit, as ours); consuming is either `id > last`, which loses messages when commits
 * overtake each other and is here because it is what people write, or DELETE … FOR UPDATE SKIP LOCKED, the usual
 * queue table. Same server, same messages; what each consumer got is checked against what was published. Then, of ours: by
 * partitions, from publish to delivery, published in transactions, and with a transaction held open elsewhere.
 */
import { seededRandom, systemClock } from "holdfast/clock";
import { installFramework, openDatabaseNodes } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import pg from "pg";
import { type Bench, type Figure, median } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";
import { byPartitions } from "./topic/by-partitions.ts";
import { type Click, drawClick } from "./topic/click.ts";
import { concurrently, deliveredPerSecond, openFlow } from "./topic/flow.ts";
import { whileHeld } from "./topic/held.ts";
import { inTransaction } from "./topic/in-tx.ts";
import { latency } from "./topic/latency.ts";

const poolSize = 10;
const batchMax = 500;

const bench: Bench = {
  name: "topic",
  title: "publish and consume messages through a topic, beside pg by hand",
  async run(size, seed) {
    await using postgres = await startTestPostgres({ onDisk: true, settings: { shared_buffers: "128MB" } });
    const nodes = openDatabaseNodes(postgres.config, {
      clock: systemClock,
      applicationName: "bench",
      poolSize,
    });
    await installFramework(nodes);
    const theirs = openDatabaseNodes(postgres.config, {
      clock: systemClock,
      applicationName: "bench consumer",
      poolSize,
    });
    const primary = postgres.config.nodes[0]?.primary;
    const pool = new pg.Pool({ ...primary, max: poolSize });
    const random = seededRandom(seed);
    const flow = openFlow("clicks", 8, nodes, random);
    try {
      await pool.query(
        `create table public.by_hand (id bigint generated always as identity primary key, key text not null,
           value json not null, at timestamptz not null default now())`,
      );
      const published = { ours: 0, byHand: 0 };
      const insert = async () => {
        published.byHand++;
        const one = drawClick(random);
        await pool.query({
          name: "insert",
          text: "insert into public.by_hand (key, value) values ($1, $2)",
          values: [one.code, JSON.stringify(one)],
        });
      };

      const figures: Figure[] = [];
      const figure = (name: string, value: number, peer?: string) =>
        figures.push({ name, unit: "messages/s", value, better: "higher", ...(peer ? { peer } : {}) });
      const rounds = size === "smoke" ? 1 : 5;
      for (const inFlight of [1, 64]) {
        const operations = size === "smoke" ? 64 : inFlight === 1 ? 1_000 : 20_000;
        const ns = await nanosecondsEach(
          { rounds, operations },
          {
            ours: async (count) => {
              await flow.publish(count, inFlight);
              published.ours += count;
            },
            byHand: (count) => concurrently(inFlight, count, insert),
          },
        );
        figure(`publish, ${inFlight} in flight`, perSecond(ns.ours));
        figure(
          `pg by hand: insert, ${inFlight} in flight`,
          perSecond(ns.byHand),
          `publish, ${inFlight} in flight`,
        );
      }

      // One read of everything per round: ours by a new consumer, theirs from the first id, or from a full copy.
      const oursEach: number[] = [];
      const lastEach: number[] = [];
      const lockedEach: number[] = [];
      for (let round = 0; round < rounds; round++) {
        oursEach.push(await deliveredPerSecond(published.ours, () => flow.consume(`reader-${round}`)));
        lastEach.push(await deliveredPerSecond(published.byHand, () => consumeByLastId(pool)));
        await pool.query("create table public.queue as select * from public.by_hand");
        await pool.query("create index on public.queue (id)");
        lockedEach.push(await deliveredPerSecond(published.byHand, () => consumeLocked(pool)));
        await pool.query("drop table public.queue");
      }
      figure("consume, exactly once", median(oursEach));
      figure("pg by hand: id > last, cursor per batch", median(lastEach), "consume, exactly once");
      figure("pg by hand: delete … skip locked", median(lockedEach), "consume, exactly once");
      figures.push(...(await byPartitions(nodes, size, random)));
      const delays = await latency(nodes, theirs, size, random);
      const held = await whileHeld({ ...primary }, nodes, size, random);
      const outbox = await inTransaction(postgres, size, random);
      figures.push(...delays.figures, ...outbox.figures, ...held.figures);
      return {
        figures,
        checked: [
          `${published.ours} messages published and read ${rounds} times, each once and in order per key`,
          delays.checked,
          outbox.checked,
          held.checked,
        ].join("; "),
      };
    } finally {
      await flow.close();
      await pool.end();
      await theirs.close();
      await nodes.close();
    }
  },
};

export default bench;

/** One reader that remembers the last id, and stores it after each batch so that a restart finds it. */
async function consumeByLastId(pool: pg.Pool): Promise<number> {
  await pool.query("create table if not exists public.cursor (name text primary key, last bigint not null)");
  let taken = 0;
  for (let last = "0"; ; ) {
    const { rows } = await pool.query<{ id: string; value: Click }>({
      name: "after",
      text: "select id, key, value from public.by_hand where id > $1 order by id limit $2",
      values: [last, batchMax],
    });
    const end = rows.at(-1);
    if (!end) return taken;
    taken += rows.length;
    last = end.id;
    await pool.query({
      name: "cursor",
      text: `insert into public.cursor values ('reader', $1)
             on conflict (name) do update set last = excluded.last`,
      values: [last],
    });
  }
}

/** Eight readers that delete what they lock, in batches. */
async function consumeLocked(pool: pg.Pool): Promise<number> {
  let taken = 0;
  const reader = async () => {
    for (;;) {
      const { rows } = await pool.query({
        name: "take",
        text: `delete from public.queue where id = any (array(
                 select id from public.queue order by id limit $1 for update skip locked))
               returning id, key, value`,
        values: [batchMax],
      });
      if (rows.length === 0) return;
      taken += rows.length;
    }
  };
  await Promise.all(Array.from({ length: 8 }, reader));
  return taken;
}

/**
 * Publishing messages one by one, and consuming them in batches: a topic, beside `pg` by hand. By hand a publish
 * is one INSERT (its own commit, as ours); consuming is either `id > last`, which loses messages when commits
 * overtake each other and is here because it is what people write, or DELETE … FOR UPDATE SKIP LOCKED, the usual
 * queue table. Same server, same messages; what each consumer got is checked against what was published.
 */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { seededRandom, systemClock } from "holdfast/clock";
import { installFramework, openDatabaseNodes, postgresTopic } from "holdfast/postgres";
import { startTestPostgres } from "holdfast/testkit";
import { topic } from "holdfast/topic";
import pg from "pg";
import type { Bench, Figure } from "./bench.ts";
import { nanosecondsEach, perSecond } from "./side-by-side.ts";

interface Click {
  readonly code: string;
  readonly at: number;
  readonly referrer: string;
}

const poolSize = 10;
const batchMax = 500;

const schema = {
  "~standard": {
    version: 1 as const,
    vendor: "bench",
    validate: (value: unknown) => ({ value: value as Click }),
    types: {} as { readonly input: Click; readonly output: Click },
  },
};
const clicks = topic("clicks", { schema, keyBy: (click) => click.code, partitions: 8 });

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
    const port = postgresTopic(clicks, nodes, systemClock);
    const pool = new pg.Pool({ ...postgres.config.nodes[0]?.primary, max: poolSize });
    try {
      await pool.query(
        `create table public.by_hand (id bigint generated always as identity primary key, key text not null,
           value json not null, at timestamptz not null default now())`,
      );
      const world = new World("bench", systemClock);
      world.bind(clicks, port);
      const random = seededRandom(seed);
      const click = (): Click => ({
        // Skewed as clicks are: half of them go to a tenth of the codes.
        code: `code-${Math.floor(1_000 * random.next() ** 3)}`,
        at: 1_750_000_000_000 + Math.floor(random.next() * 1e9),
        referrer: "https://example.com/some/page",
      });
      const published = { ours: 0, byHand: 0 };
      const publish = async () => {
        published.ours++;
        using call = new Call(systemClock, { timeoutMs: 10_000 });
        await inCall(call, () => clicks.publish(click()));
      };
      const insert = async () => {
        published.byHand++;
        const one = click();
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
        const ns = await inWorld(world, () =>
          nanosecondsEach(
            { rounds, operations },
            {
              ours: (count) => concurrently(inFlight, count, publish),
              byHand: (count) => concurrently(inFlight, count, insert),
            },
          ),
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
        oursEach.push(await timed(published.ours, () => consume(`reader-${round}`)));
        lastEach.push(await timed(published.byHand, () => consumeByLastId(pool)));
        await pool.query("create table public.queue as select * from public.by_hand");
        await pool.query("create index on public.queue (id)");
        lockedEach.push(await timed(published.byHand, () => consumeLocked(pool)));
        await pool.query("drop table public.queue");
      }
      const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
      figure("consume, exactly once", middle(oursEach));
      figure("pg by hand: id > last, cursor per batch", middle(lastEach), "consume, exactly once");
      figure("pg by hand: delete … skip locked", middle(lockedEach), "consume, exactly once");
      return {
        figures,
        checked: `${published.ours} messages published and read ${rounds} times, each once and in order per key`,
      };
    } finally {
      await port.close();
      await pool.end();
      await nodes.close();
    }

    /** Takes, and completes, everything: eight partitions side by side, as a worker does. */
    async function consume(consumer: string): Promise<number> {
      const claims = await port.heartbeat(consumer, "bench", 600_000);
      const lastOf = new Map<string, bigint>();
      let taken = 0;
      await Promise.all(
        claims.map(async (claim) => {
          for (
            let batch = await port.next(claim, batchMax);
            batch;
            batch = await port.next(claim, batchMax)
          ) {
            for (const { key, id } of batch.messages) {
              if (id <= (lastOf.get(key) ?? 0n)) throw new Error(`key ${key} came out of order`);
              lastOf.set(key, id);
            }
            taken += batch.messages.length;
            await port.complete(claim, batch.sequence);
          }
        }),
      );
      return taken;
    }
  },
};

export default bench;

async function timed(expected: number, consume: () => Promise<number>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  const taken = await consume();
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  if (taken !== expected) throw new Error(`${taken} messages came of ${expected}`);
  return taken / seconds;
}

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

/** Runs `one` `count` times, `inFlight` of them at a time. */
async function concurrently(inFlight: number, count: number, one: () => Promise<unknown>): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

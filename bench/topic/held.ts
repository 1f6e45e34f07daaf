/**
 * The same work while a transaction that has written, and sees an old snapshot, is held open elsewhere on the server:
 * what kills queues that update their rows. Normal and held rounds take turns, each on a topic of its own that all rounds
 * of its kind go on with, so that whatever piles up is there to be felt. Dead rows are counted at the end.
 */
import { type Random, systemClock } from "holdfast/clock";
import type { DatabaseNodes } from "holdfast/postgres";
import pg from "pg";
import { type BenchSize, type Figure, median } from "../bench.ts";
import { deliveredPerSecond, openFlow, publishedPerSecond } from "./flow.ts";

const partitions = 8;
const inFlight = 64;

export async function whileHeld(
  config: pg.ClientConfig,
  nodes: DatabaseNodes,
  size: BenchSize,
  random: Random,
): Promise<{ readonly figures: readonly Figure[]; readonly checked: string }> {
  const rounds = size === "smoke" ? 1 : 7;
  const messages = size === "smoke" ? 500 : 20_000;
  const normal = { published: [] as number[], delivered: [] as number[] };
  const held = { published: [] as number[], delivered: [] as number[] };
  const holder = new pg.Client(config);
  await holder.connect();
  const flow = openFlow("held", partitions, nodes, random);
  let published = 0;
  try {
    await holder.query("create table public.elsewhere (n int)");
    for (let round = 0; round <= rounds; round++) {
      for (const [into, hold] of [
        [normal, false],
        [held, true],
      ] as const) {
        if (hold) {
          await holder.query("begin isolation level repeatable read");
          await holder.query("insert into public.elsewhere values (1)");
        }
        const publishRate = await publishedPerSecond(flow, messages, inFlight);
        published += messages;
        const fresh = round === 0 && !hold ? published : messages;
        const deliverRate = await deliveredPerSecond(fresh, () => flow.consume("reader"));
        if (hold) await holder.query("rollback");
        if (round === 0) continue; // warms up
        into.published.push(publishRate);
        into.delivered.push(deliverRate);
      }
    }
    const dead = await deadRows(holder, flow, messages);
    const ratio = (of: "published" | "delivered") => median(held[of]) / median(normal[of]);
    const unit = "of normal";
    return {
      figures: [
        { name: "publish with a held transaction", unit, value: ratio("published"), better: "higher" },
        { name: "deliver with a held transaction", unit, value: ratio("delivered"), better: "higher" },
        {
          name: "dead rows of a message, held",
          unit: "rows/message",
          value: Math.max(dead.after - dead.before, 0) / messages + Number.EPSILON,
          better: "lower",
        },
      ],
      checked: `${published} messages went through with and without a transaction held open, each once and in order`,
    };
  } finally {
    await flow.close();
    await holder.end();
  }
}

/** Dead rows of the framework's tables before and after a round that nothing can be cleared up in. */
async function deadRows(holder: pg.Client, flow: ReturnType<typeof openFlow>, messages: number) {
  const count = async () => {
    await systemClock.sleep(1_200); // statistics are told at most once a second
    const { rows } = await holder.query<{ dead: number }>(
      `select coalesce(sum(n_dead_tup), 0)::int as dead from pg_stat_user_tables
        where schemaname like 'holdfast%'`,
    );
    return rows[0]?.dead ?? 0;
  };
  const before = await count();
  await holder.query("begin; insert into public.elsewhere values (1)");
  await flow.publish(messages, inFlight);
  await deliveredPerSecond(messages, () => flow.consume("reader"));
  await holder.query("rollback");
  const after = await count();
  return { before, after };
}

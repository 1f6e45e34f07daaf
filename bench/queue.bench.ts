/**
 * Enqueuing and working off jobs: a queue, beside pg-boss, graphile-worker and BullMQ, each at the best of its
 * documented settings. The same small jobs, one Postgres on a disk for the three that use it; every job is checked to
 * have been handled once. Then, of ours, the same with a transaction held open elsewhere on the server, one that has
 * written and sees an old snapshot: what kills queues that update their rows.
 */
import { systemClock } from "holdfast/clock";
import { installFramework, openDatabaseNodes } from "holdfast/postgres";
import { startTestPostgres, startTestRedis } from "holdfast/testkit";
import pg from "pg";
import { type Bench, type Figure, median } from "./bench.ts";
import { bullmq } from "./queue/bullmq.ts";
import type { Contender } from "./queue/contender.ts";
import { graphileWorker } from "./queue/graphile-worker.ts";
import { type Measured, measure, sizesOf } from "./queue/measure.ts";
import { ours } from "./queue/ours.ts";
import { pgBoss } from "./queue/pg-boss.ts";

const rates = [
  ["alone", "enqueue, 1 in flight"],
  ["inFlight", "enqueue, 32 in flight"],
  ["hundreds", "enqueue, batches of 100"],
  ["thousands", "enqueue, batches of 1,000"],
  ["processed", "process, no-op"],
  ["processedSlow", "process, 1 ms each"],
] as const;

const bench: Bench = {
  name: "queue",
  title: "enqueue and work off jobs, beside pg-boss, graphile-worker and BullMQ",
  async run(size) {
    const sizes = sizesOf(size);
    await using closers = new AsyncDisposableStack();
    const postgres = closers.use(
      await startTestPostgres({ onDisk: true, settings: { shared_buffers: "256MB" } }),
    );
    const open = () => {
      const nodes = openDatabaseNodes(postgres.config, { clock: systemClock, applicationName: "bench" });
      closers.defer(() => nodes.close());
      return nodes;
    };
    const [here, elsewhere] = [open(), open()];
    await installFramework(here);
    const [primary] = postgres.config.nodes.map((node) => node.primary);
    if (!primary) throw new Error("the test server has no node");
    const { host, port, database, user, password } = primary;
    const config: pg.ClientConfig = { host, port, database, user, password };
    const queues: Contender[] = [];
    const enter = (queue: Contender) => {
      closers.defer(async () => void (await queue.close()));
      queues.push(queue);
      return queue;
    };
    const own = enter(ours("jobs", here, elsewhere));
    enter(await pgBoss(config));
    enter(await graphileWorker(config));
    // Where Redis is neither installed nor can be, BullMQ is left out.
    const redis = await startTestRedis().catch(() => undefined);
    if (redis) {
      closers.use(redis);
      const [leader] = await redis.leaders();
      enter(await bullmq({ host: leader.host, port: leader.port, password: redis.password }));
    }

    const measured = new Map<string, Measured[]>(queues.map(({ name }) => [name, []]));
    for (let round = 0; round < sizes.rounds; round++) {
      for (const queue of queues) measured.get(queue.name)?.push(await measure(queue, sizes));
    }
    const figures: Figure[] = queues.flatMap((queue) =>
      figuresOf(queue.name, measured.get(queue.name) ?? [], queue !== own),
    );

    const holder = new pg.Client(config);
    await holder.connect();
    closers.defer(() => holder.end());
    const held: Measured[] = [];
    await holder.query("create table public.elsewhere (n int)");
    await holder.query("begin isolation level repeatable read");
    await holder.query("insert into public.elsewhere values (1)");
    for (let round = 0; round < sizes.rounds; round++) held.push(await measure(own, sizes));
    const { rows } = await holder.query<{ dead: number }>(
      `select coalesce(sum(n_dead_tup), 0)::int as dead from pg_stat_user_tables where schemaname = 'holdfast'`,
    );
    await holder.query("rollback");
    for (const [key, name] of rates) {
      const normal = median((measured.get(own.name) ?? []).map((one) => one[key]));
      const value = median(held.map((one) => one[key])) / normal;
      figures.push({ name: `${name}, with a held transaction`, unit: "of normal", value, better: "higher" });
    }
    const handled = Math.round(
      sizes.rounds * (sizes.alone + sizes.inFlight + sizes.hundreds * 100 + 2_000 * sizes.thousands),
    );
    return {
      figures,
      checked: `${handled} jobs of each of ${queues.length} queues, each handled once; ${rows[0]?.dead ?? 0} dead rows in all tables after as many with a transaction held open`,
    };
  },
};

export default bench;

function figuresOf(name: string, rounds: readonly Measured[], isPeer: boolean): Figure[] {
  const title = (of: string) => (isPeer ? `${name}: ${of}` : of);
  const beside = (of: string) => (isPeer ? { peer: of } : {});
  const pickups = rounds.flatMap((round) => round.pickupsMs).sort((a, b) => a - b);
  const at = (part: number) => pickups[Math.min(pickups.length - 1, Math.floor(pickups.length * part))] ?? 0;
  return [
    ...rates.map(
      ([key, of]): Figure => ({
        name: title(of),
        unit: "jobs/s",
        value: median(rounds.map((round) => round[key])),
        better: "higher",
        ...beside(of),
      }),
    ),
    ...(
      [
        ["pickup when idle, p50", 0.5],
        ["pickup when idle, p99", 0.99],
      ] as const
    ).map(
      ([of, part]): Figure => ({
        name: title(of),
        unit: "ms",
        value: at(part),
        better: "lower",
        ...beside(of),
      }),
    ),
  ];
}

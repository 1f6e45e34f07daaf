/** Publishing through a topic and consuming all of it, as a process and a worker do; what comes is counted and in order. */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { type Random, systemClock } from "holdfast/clock";
import { type DatabaseNodes, postgresTopic } from "holdfast/postgres";
import { topic } from "holdfast/topic";
import { type Click, clickSchema, drawClick } from "./click.ts";

const batchMax = 500;

export interface Flow {
  /** Publishes so many, so many of them in flight. */
  publish(count: number, inFlight: number): Promise<void>;
  /** Takes, and completes, all that is there: the partitions side by side. @returns how many came */
  consume(consumer: string): Promise<number>;
  close(): Promise<void>;
}

export function openFlow(name: string, partitions: number, nodes: DatabaseNodes, random: Random): Flow {
  const clicks = topic(name, { schema: clickSchema, keyBy: (click) => click.code, partitions });
  const port = postgresTopic(clicks, nodes, systemClock);
  const world = new World("bench", systemClock);
  world.bind(clicks, port);
  const publishOne = async () => {
    using call = new Call(systemClock, { timeoutMs: 10_000 });
    await inCall(call, () => clicks.publish(drawClick(random)));
  };
  return {
    publish: (count, inFlight) => inWorld(world, () => concurrently(inFlight, count, publishOne)),
    async consume(consumer) {
      const claims = await port.heartbeat(consumer, "bench", 600_000);
      const lastOf = new Map<string, bigint>();
      let taken = 0;
      const drain = async (claim: (typeof claims)[number]) => {
        for (;;) {
          const batch = await port.next(claim, batchMax);
          if (!batch) return;
          for (const { key, id } of batch.messages) {
            if (id <= (lastOf.get(key) ?? 0n)) throw new Error(`key ${key} came out of order`);
            lastOf.set(key, id);
          }
          taken += batch.messages.length;
          await port.complete(claim, batch.sequence);
        }
      };
      await Promise.all(claims.map(drain));
      return taken;
    },
    close: () => port.close(),
  };
}

/** Runs `one` `count` times, `inFlight` of them at a time. */
export async function concurrently(
  inFlight: number,
  count: number,
  one: () => Promise<unknown>,
): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** Messages a second, of messages that are taken and counted. */
export async function deliveredPerSecond(expected: number, consume: () => Promise<number>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  const taken = await consume();
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  if (taken !== expected) throw new Error(`${taken} messages came of ${expected}`);
  return taken / seconds;
}

export async function publishedPerSecond(flow: Flow, count: number, inFlight: number): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await flow.publish(count, inFlight);
  return (count / (systemClock.monotonicMs() - startMs)) * 1_000;
}

export type { Click };

/**
 * From the beginning of a publish to the message's arrival in another process's consumer (another set of connections: it
 * hears of it by NOTIFY or by polling): idle, one message after the other, and at a moderate rate.
 */
import { inWorld, World } from "holdfast";
import { Call, inCall } from "holdfast/call";
import { type Random, systemClock } from "holdfast/clock";
import { type DatabaseNodes, postgresTopic } from "holdfast/postgres";
import { topic } from "holdfast/topic";
import type { BenchSize, Figure } from "../bench.ts";
import { clickSchema, drawClick } from "./click.ts";

const loads = [
  { name: "idle", everyMs: 40 },
  { name: "500 messages/s", everyMs: 2 },
] as const;

/** @param theirs nodes of the consuming process */
export async function latency(
  ours: DatabaseNodes,
  theirs: DatabaseNodes,
  size: BenchSize,
  random: Random,
): Promise<{ readonly figures: readonly Figure[]; readonly checked: string }> {
  const messages = size === "smoke" ? 20 : 1_000;
  const clicks = topic("latency", { schema: clickSchema, keyBy: (click) => click.code, partitions: 8 });
  const port = postgresTopic(clicks, ours, systemClock);
  const consumer = postgresTopic(clicks, theirs, systemClock);
  const world = new World("bench", systemClock);
  world.bind(clicks, port);
  const stop = new AbortController();
  /** When its publish began, by what only this message has. */
  const begun = new Map<string, number>();
  let arrived: number[] = [];
  const consuming = consume();
  const figures: Figure[] = [];
  let total = 0;
  try {
    for (const { name, everyMs } of loads) {
      arrived = [];
      const under: Promise<void>[] = [];
      for (let sent = 0; sent < messages; sent++) {
        under.push(publish(`${name} ${sent}`));
        await systemClock.sleep(everyMs * (0.5 + random.next()));
      }
      await Promise.all(under);
      const startMs = systemClock.monotonicMs();
      while (arrived.length < messages) {
        if (systemClock.monotonicMs() - startMs > 10_000)
          throw new Error(`${arrived.length} of ${messages} messages came`);
        await systemClock.sleep(5);
      }
      total += messages;
      arrived.sort((a, b) => a - b);
      const at = (share: number) => arrived[Math.min(messages - 1, Math.floor(messages * share))] ?? 0;
      figures.push(
        { name: `publish to delivery, ${name}, p50`, unit: "ms", value: at(0.5), better: "lower" },
        { name: `publish to delivery, ${name}, p99`, unit: "ms", value: at(0.99), better: "lower" },
      );
    }
  } finally {
    stop.abort();
    await consuming;
    await consumer.close();
    await port.close();
  }
  return { figures, checked: `${total} messages arrived, each once` };

  async function publish(referrer: string): Promise<void> {
    using call = new Call(systemClock, { timeoutMs: 10_000 });
    begun.set(referrer, systemClock.monotonicMs());
    await inWorld(world, () => inCall(call, () => clicks.publish({ ...drawClick(random), referrer })));
  }

  /** As a worker's loop: each partition asks for its next batch, and all wait together when nothing comes. */
  async function consume(): Promise<void> {
    const claims = await consumer.heartbeat("reader", "bench", 600_000);
    let waiting: Promise<void> | undefined;
    const idle = () => {
      waiting ??= consumer.wait(250, stop.signal).finally(() => {
        waiting = undefined;
      });
      return waiting;
    };
    await Promise.all(
      claims.map(async (claim) => {
        while (!stop.signal.aborted) {
          const batch = await consumer.next(claim, 500);
          if (!batch) {
            await idle();
            continue;
          }
          for (const { value } of batch.messages) {
            const { referrer } = value as { referrer: string };
            const beganMs = begun.get(referrer);
            if (beganMs === undefined) throw new Error(`${referrer} came twice, or was never published`);
            begun.delete(referrer);
            arrived.push(systemClock.monotonicMs() - beganMs);
          }
          await consumer.complete(claim, batch.sequence);
        }
      }),
    );
  }
}

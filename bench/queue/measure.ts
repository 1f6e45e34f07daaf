/** What is measured of each queue, with its answers checked: every job is handled once. */
import { systemClock } from "holdfast/clock";
import { until } from "holdfast/testkit";
import type { BenchSize } from "../bench.ts";
import type { Contender, Payload } from "./contender.ts";

export interface Sizes {
  readonly rounds: number;
  readonly alone: number;
  readonly inFlight: number;
  readonly hundreds: number;
  readonly thousands: number;
  readonly pickups: number;
}

export const sizesOf = (size: BenchSize): Sizes =>
  size === "smoke"
    ? { rounds: 1, alone: 3, inFlight: 64, hundreds: 1, thousands: 1, pickups: 3 }
    : { rounds: 5, alone: 300, inFlight: 5_000, hundreds: 50, thousands: 20, pickups: 60 };

/** Rates a second, and pickup times in milliseconds. */
export interface Measured {
  readonly alone: number;
  readonly inFlight: number;
  readonly hundreds: number;
  readonly thousands: number;
  readonly processed: number;
  readonly processedSlow: number;
  readonly pickupsMs: readonly number[];
}

let made = 0;
const payload = (): Payload => ({ n: made++, text: "what a small job says, in about so many letters" });
const payloads = (count: number): Payload[] => Array.from({ length: count }, payload);

async function perSecond(count: number, run: () => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  await run();
  return (count / (systemClock.monotonicMs() - startMs)) * 1_000;
}

/** One enqueue after the other in each of so many lanes. */
async function inLanes(queue: Contender, lanes: number, jobs: readonly Payload[]): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let job = jobs[next++]; job; job = jobs[next++]) await queue.enqueue(job);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function inBatches(queue: Contender, size: number, jobs: readonly Payload[]): Promise<void> {
  for (let from = 0; from < jobs.length; from += size) await queue.enqueueMany(jobs.slice(from, from + size));
}

/** Handles everything, from the worker's start until the store says that all is done. */
async function processed(
  queue: Contender,
  jobs: readonly Payload[],
  handle: () => Promise<void> | void,
): Promise<number> {
  const seen = new Map<number, number>();
  let worker: Awaited<ReturnType<Contender["work"]>> | undefined;
  const rate = await perSecond(jobs.length, async () => {
    worker = await queue.work(async ({ n }) => {
      seen.set(n, (seen.get(n) ?? 0) + 1);
      await handle();
    });
    await until(async () => seen.size >= jobs.length && (await queue.isEmpty()), {
      what: `${queue.name} to handle ${jobs.length} jobs`,
      everyMs: 5,
      timeoutMs: 180_000,
    });
  });
  await worker?.stop();
  const wrong = jobs.filter(({ n }) => seen.get(n) !== 1).length;
  if (wrong > 0 || seen.size !== jobs.length)
    throw new Error(`${queue.name}: ${wrong} of ${jobs.length} jobs were not handled exactly once`);
  return rate;
}

async function pickups(queue: Contender, count: number): Promise<number[]> {
  const begun = new Map<number, number>();
  const worker = await queue.work(({ n }) => void begun.set(n, systemClock.monotonicMs()));
  const times: number[] = [];
  for (let at = -3; at < count; at++) {
    await systemClock.sleep(15 + (at % 7)); // so that the worker is idle, and not in step
    const job = payload();
    const startMs = systemClock.monotonicMs();
    await queue.enqueueElsewhere(job);
    await until(() => begun.has(job.n), {
      what: `${queue.name} to pick a job up`,
      everyMs: 1,
      timeoutMs: 30_000,
    });
    if (at >= 0) times.push((begun.get(job.n) as number) - startMs); // the first ones connect and listen
  }
  await worker.stop();
  return times;
}

export async function measure(queue: Contender, sizes: Sizes): Promise<Measured> {
  const alone = payloads(sizes.alone);
  const inFlight = payloads(sizes.inFlight);
  const hundreds = payloads(sizes.hundreds * 100);
  const thousands = payloads(sizes.thousands * 1_000);
  const rates = {
    alone: await perSecond(alone.length, () => inLanes(queue, 1, alone)),
    inFlight: await perSecond(inFlight.length, () => inLanes(queue, 32, inFlight)),
    hundreds: await perSecond(hundreds.length, () => inBatches(queue, 100, hundreds)),
    thousands: await perSecond(thousands.length, () => inBatches(queue, 1_000, thousands)),
  };
  const all = [...alone, ...inFlight, ...hundreds, ...thousands];
  const slow = payloads(thousands.length);
  return {
    ...rates,
    processed: await processed(queue, all, () => {}),
    processedSlow: await (async () => {
      await inBatches(queue, 1_000, slow);
      return processed(queue, slow, () => systemClock.sleep(1));
    })(),
    pickupsMs: await pickups(queue, sizes.pickups),
  };
}

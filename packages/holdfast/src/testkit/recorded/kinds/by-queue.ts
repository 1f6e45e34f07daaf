/** Through a queue: jobs, one by one, each applied once. In order where they are grouped by their key. */
import { systemClock } from "../../../clock/index.ts";
import { queue, system, worker } from "../../../parts/index.ts";
import type { Job } from "../../../parts/worker/index.ts";
import { workQueue } from "../../../runtime/work-queue.ts";
import { recordedQueue } from "../recorded-attempts.ts";
import {
  anyDelivery,
  append,
  type Delivery,
  type DeliveryKind,
  type DeliveryKindOptions,
  deliveriesDatabase,
  refusePoison,
  runsHere,
} from "./kind.ts";

export function byQueue(options: DeliveryKindOptions): DeliveryKind {
  const { leaseMs, workMs, unguarded } = options;
  const inOrder = options.kind === "ordered queue";
  const db = deliveriesDatabase(options);
  const jobs = queue("jobs", {
    schema: anyDelivery,
    retry: { attemptsMax: 1_000, baseMs: 20, capMs: 200 },
    ...(inOrder ? { group: { by: ({ key }: Delivery) => key, ordered: true } } : {}),
  });
  const collect = worker<Delivery>("collect", { from: jobs, concurrency: 8, leaseMs, load: runsHere });
  let failures = 0;
  const handler = async (job: Job<Delivery>): Promise<void> => {
    const { key } = job.value;
    if (unguarded) {
      await db.at(key).write((tx) => append(job.value).execute(tx));
      if (++failures === 1) throw new Error("it fails after its work, once");
      return;
    }
    await systemClock.sleep(workMs);
    refusePoison(options, job.value);
    await job.apply(db, key, async (tx) => {
      await append(job.value).execute(tx);
    });
    await systemClock.sleep(workMs);
  };
  return {
    system: system("deliveries", { parts: { db, jobs, collect } }),
    db,
    inOrder,
    completionIsFinal: true,
    put: async (message) => {
      await jobs.enqueue(message);
    },
    async pending() {
      const { waiting, delayed, active } = await jobs.counts();
      return waiting + delayed + active;
    },
    async dead() {
      const numbers: number[] = [];
      for (let after: string | undefined; ; ) {
        const page = await jobs.dead.list({ limit: 1_000, ...(after === undefined ? {} : { after }) });
        numbers.push(...page.jobs.map(({ value }) => (value as Delivery).number));
        if (page.after === undefined) return numbers;
        after = page.after;
      }
    },
    work({ world, recorder, member, signal }) {
      const recorded = recordedQueue<Delivery>(world.port(jobs), recorder, ({ number }) => number);
      return workQueue<Delivery>({
        worker: collect,
        queue: recorded.port,
        clock: systemClock,
        world,
        signal,
        memberName: member,
        handler: recorded.handler(handler),
      });
    },
  };
}

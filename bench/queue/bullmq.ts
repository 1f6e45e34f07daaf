/** BullMQ on Redis: 200 jobs at a time, done ones removed. What Redis acknowledges is in its memory, not on a disk. */
import { Queue, Worker } from "bullmq";
import type { Contender, Payload } from "./contender.ts";

const name = "jobs";

export async function bullmq(connection: {
  readonly host: string;
  readonly port: number;
  readonly password: string;
}): Promise<Contender> {
  const options = { connection, defaultJobOptions: { removeOnComplete: true } };
  const queue = new Queue<Payload>(name, options);
  const other = new Queue<Payload>(name, options);
  for (const one of [queue, other]) one.on("error", () => {}); // what fails shows in the jobs that are missing
  await Promise.all([queue.waitUntilReady(), other.waitUntilReady()]);
  return {
    name: "BullMQ",
    enqueue: (job) => queue.add(name, job),
    enqueueMany: (jobs) => queue.addBulk(jobs.map((data) => ({ name, data }))),
    enqueueElsewhere: (job) => other.add(name, job),
    async work(handle) {
      const worker = new Worker<Payload>(name, async (job) => handle(job.data), {
        connection,
        concurrency: 200,
      });
      worker.on("error", () => {});
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },
    async isEmpty() {
      const { waiting = 0, active = 0, delayed = 0 } = await queue.getJobCounts();
      return waiting + active + delayed === 0;
    },
    close: () => Promise.all([queue.close(), other.close()]),
  };
}

/** pg-boss, set up for throughput: batches of 1,000 by four workers, woken by NOTIFY, polling on while batches are full. */
import type pg from "pg";
import { PgBoss } from "pg-boss";
import type { Contender, Payload } from "./contender.ts";

const queue = "jobs";

export async function pgBoss(config: pg.ClientConfig): Promise<Contender> {
  const open = async (useListenNotify: boolean) => {
    const boss = new PgBoss({ ...config, max: 10, useListenNotify } as ConstructorParameters<
      typeof PgBoss
    >[0]);
    boss.on("error", () => {}); // what fails shows in the jobs that are missing
    await boss.start();
    return boss;
  };
  const boss = await open(true);
  await boss.createQueue(queue, { notify: true });
  const other = await open(false);
  return {
    name: "pg-boss",
    enqueue: (job) => boss.send(queue, job),
    enqueueMany: (jobs) =>
      boss.insert(
        queue,
        jobs.map((data) => ({ data })),
      ),
    enqueueElsewhere: (job) => other.send(queue, job),
    async work(handle) {
      await boss.work<Payload>(
        queue,
        { batchSize: 1_000, localConcurrency: 4, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
        async (jobs) => {
          await Promise.all(jobs.map((job) => handle(job.data)));
        },
      );
      return { stop: () => boss.offWork(queue) };
    },
    async isEmpty() {
      const { rows } = await boss
        .getDb()
        .executeSql(
          "select exists (select from pgboss.job where name = $1 and state < 'completed') as some",
          [queue],
        );
      return !(rows[0] as { some: boolean }).some;
    },
    async close() {
      await other.stop({ graceful: false });
      await boss.stop({ graceful: false });
    },
  };
}

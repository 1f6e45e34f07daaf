/** graphile-worker, set up for throughput: a local queue of 1,000, 24 jobs at a time, completions in batches. */
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import type { Contender, Payload } from "./contender.ts";

const task = "jobs";
const logger = new Logger(() => () => {});

export async function graphileWorker(config: pg.ClientConfig): Promise<Contender> {
  const pools = [new pg.Pool({ ...config, max: 10 }), new pg.Pool({ ...config, max: 10 })] as const;
  const [pgPool, otherPool] = pools;
  for (const pool of pools) {
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
  }
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  const other = await makeWorkerUtils({ pgPool: otherPool, logger });
  return {
    name: "graphile-worker",
    enqueue: (job) => utils.addJob(task, job),
    enqueueMany: (jobs) => utils.addJobs(jobs.map((payload) => ({ identifier: task, payload }))),
    enqueueElsewhere: (job) => other.addJob(task, job),
    async work(handle) {
      const runner = await run({
        pgPool,
        logger,
        noHandleSignals: true,
        taskList: { [task]: async (payload) => handle(payload as Payload) },
        preset: {
          worker: {
            concurrentJobs: 24,
            localQueue: { size: 1_000 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      });
      return { stop: () => runner.stop() };
    },
    async isEmpty() {
      const { rows } = await pgPool.query("select exists (select from graphile_worker.jobs) as some");
      return !(rows[0] as { some: boolean }).some;
    },
    async close() {
      await utils.release();
      await other.release();
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}

/** Ours: the ring on Postgres, and the loop that workers of a system have. */
import { inWorld, World, worker } from "holdfast";
import { systemClock } from "holdfast/clock";
import { type DatabaseNodes, postgresQueue } from "holdfast/postgres";
import { queue } from "holdfast/queue";
import { workQueue } from "holdfast/runtime";
import type { Contender, Payload } from "./contender.ts";

const schema = {
  "~standard": {
    version: 1 as const,
    vendor: "bench",
    validate: (value: unknown) => ({ value: value as Payload }),
    types: {} as { readonly input: Payload; readonly output: Payload },
  },
};

/** @param elsewhere nodes of the same database, with pools and a listening connection of their own */
export function ours(name: string, here: DatabaseNodes, elsewhere: DatabaseNodes): Contender {
  const jobs = queue(name, { schema });
  const bound = [here, elsewhere].map((nodes) => {
    const port = postgresQueue(jobs as never, nodes, systemClock);
    const world = new World("bench", systemClock);
    world.bind(jobs, port);
    return { port, world };
  }) as [Bound, Bound];
  const [own, other] = bound;
  let workers = 0;
  return {
    name: "holdfast",
    enqueue: (job) => inWorld(own.world, () => jobs.enqueue(job)),
    enqueueMany: (list) => inWorld(own.world, () => jobs.enqueueMany(list.map((value) => ({ value })))),
    enqueueElsewhere: (job) => inWorld(other.world, () => jobs.enqueue(job)),
    async work(handle) {
      const stopping = new AbortController();
      const running = workQueue<Payload>({
        worker: worker("bench", { from: jobs, load: async () => ({ default: () => {} }), concurrency: 200 }),
        queue: own.port,
        handler: (job) => handle(job.value),
        clock: systemClock,
        world: own.world,
        signal: stopping.signal,
        memberName: `bench-${++workers}`,
        onError: (error) => {
          throw error;
        },
      });
      return {
        stop() {
          stopping.abort();
          return running;
        },
      };
    },
    async isEmpty() {
      const { waiting, delayed, active } = await own.port.counts();
      return waiting + delayed + active === 0;
    },
    close: () => Promise.all(bound.map(({ port }) => port.close())),
  };
}

interface Bound {
  readonly port: ReturnType<typeof postgresQueue>;
  readonly world: World;
}

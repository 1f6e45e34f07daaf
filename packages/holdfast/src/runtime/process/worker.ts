/** One instance of a worker: opens the world, loads the worker's module, works on its topic or queue. */
import { HoldfastError } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import { logOperations } from "../../observe/index.ts";
import { installWorld } from "../../parts/index.ts";
import { isQueueWorker } from "../../parts/worker/index.ts";
import { consumeTopic } from "../consume.ts";
import { loadSystem, loadWorker } from "../load-system.ts";
import { openWorld } from "../open-world.ts";
import { workQueue } from "../work-queue.ts";
import { runChild } from "./channel.ts";

/** How long a batch under way may take when the process is to end; the supervisor's own bound is longer. */
const workerDrainMs = 8_000;

runChild("start-part", async (start, channel) => {
  const { logger } = channel;
  const system = await loadSystem(start.systemFile);
  const worker = system.workers.find(({ name }) => name === start.part);
  if (!worker) throw new Error(`${start.systemFile} has no worker "${start.part}" any more.`);
  const clock = systemClock;
  const open = openWorld(system, start.world, {
    clock,
    applicationName: `${system.name} ${start.instance}`,
    warn: (warning) => channel.send({ kind: "warning", warning }),
  });
  channel.onMessage((message) => {
    if (message.kind === "warn-again") open.warnAgain();
  });
  installWorld(open.world);
  logOperations(open.world.seam, logger);
  const handler = await loadWorker(worker);
  const stopping = new AbortController();
  const { world } = open;
  const common = {
    handler,
    clock,
    world,
    signal: stopping.signal,
    memberName: start.instance,
    drainMs: workerDrainMs,
  };
  const running = isQueueWorker(worker)
    ? workQueue({
        ...common,
        worker,
        queue: world.port(worker.options.from),
        onError(error, { isDead, ...context }) {
          if (isDead) logger.warn("a job is a dead letter now", { error, ...context });
          // An attempt that threw was logged when its operation ended; one that is too late has not ended.
          else if (context.stage !== "handle" || isLate(error)) {
            logger.warn("a worker of jobs met an error", { error, ...context });
          }
        },
      })
    : consumeTopic({
        ...common,
        worker,
        topic: world.port(worker.options.from),
        onError: (error, context) => logger.warn("the batch comes again", { error, ...context }),
      });
  return {
    running,
    async drain() {
      stopping.abort();
      await running;
      await open.close();
    },
  };
});

function isLate(error: unknown): boolean {
  return error instanceof HoldfastError && ["HOLDFAST_DEADLINE", "HOLDFAST_ABORTED"].includes(error.code);
}

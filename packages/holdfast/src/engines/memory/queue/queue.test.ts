import { systemClock } from "../../../clock/index.ts";
import { type QueueFixture, queueSuite } from "../../../parts/queue/conformance.ts";
import { selectiveQueueSuite } from "../../../parts/queue/selective-conformance.ts";
import { until } from "../../../testkit/index.ts";
import { type MemoryQueue, memoryQueue } from "./queue.ts";

const suite = {
  name: "memory",
  until: (condition: () => boolean | Promise<boolean>, what: string) =>
    until(condition, { what, timeoutMs: 20_000 }),
  open: async (): Promise<QueueFixture> => {
    const queues = new Map<string, MemoryQueue>();
    return {
      clock: systemClock,
      queue(declaration) {
        const port = queues.get(declaration.name) ?? memoryQueue(declaration, systemClock);
        queues.set(declaration.name, port);
        return port;
      },
      async close() {
        for (const port of queues.values()) await port.close();
      },
    };
  },
};

queueSuite(suite);
selectiveQueueSuite(suite);

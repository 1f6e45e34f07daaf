import { afterAll, beforeAll } from "vitest";
import { systemClock } from "../../../clock/index.ts";
import { type QueueFixture, queueSuite } from "../../../parts/queue/conformance.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../testkit/index.ts";
import { installFramework } from "../install.ts";
import { openDatabaseNodes } from "../nodes.ts";
import { ringQueue } from "./ring-queue.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

queueSuite({
  name: "postgres",
  until: (condition, what) => until(condition, { what, timeoutMs: 20_000 }),
  open: async (): Promise<QueueFixture> => {
    const config = await postgres.freshDatabase();
    const opened: (() => Promise<void>)[] = [];
    const connect = () => {
      const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "queue", poolSize: 4 });
      opened.push(() => nodes.close());
      return nodes;
    };
    await installFramework(connect());
    return {
      clock: systemClock,
      queue(declaration) {
        const port = ringQueue(declaration, connect(), systemClock);
        opened.push(() => port.close());
        return port;
      },
      async close() {
        // Last opened, first closed: a queue before its pools.
        for (const close of opened.reverse()) await close();
      },
    };
  },
});

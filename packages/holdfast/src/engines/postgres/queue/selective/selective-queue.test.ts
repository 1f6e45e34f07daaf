import { afterAll, beforeAll } from "vitest";
import { systemClock } from "../../../../clock/index.ts";
import { type ClosableQueue, queueSuite } from "../../../../parts/queue/conformance.ts";
import { selectiveQueueSuite } from "../../../../parts/queue/selective-conformance.ts";
import { startTestPostgres, type TestPostgres, until } from "../../../../testkit/index.ts";
import { installFramework } from "../../install.ts";
import { openDatabaseNodes } from "../../nodes.ts";
import { selectiveQueue } from "./selective-queue.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ settings: { max_connections: "400" } });
});
afterAll(() => postgres?.stop());

const suite = {
  name: "postgres, selective",
  until: (condition: () => boolean | Promise<boolean>, what: string) =>
    until(condition, { what, timeoutMs: 20_000 }),
  open: async () => {
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
      queue(declaration: Parameters<typeof selectiveQueue>[0]): ClosableQueue {
        const port = selectiveQueue(declaration, connect(), systemClock);
        opened.push(() => port.close());
        return port;
      },
      async close() {
        // Last opened, first closed: a queue before its pools.
        for (const close of opened.reverse()) await close();
      },
    };
  },
};

// What holds for every queue holds for one whose jobs are chosen, also when nothing chooses.
queueSuite(suite);
selectiveQueueSuite(suite);

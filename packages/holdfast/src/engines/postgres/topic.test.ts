import { afterAll, beforeAll } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { type ClosableTopic, type TopicSuite, topicSuite } from "../../parts/topic/conformance.ts";
import { topicConsumerSuite } from "../../parts/topic/consumer-conformance.ts";
import { startTestPostgres, type TestPostgres, until } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const partitions = 5;

const suite: TopicSuite = {
  name: "postgres",
  partitions,
  until: (condition, what) => until(condition, { what, timeoutMs: 20_000 }),
  open: async () => {
    const config = await postgres.freshDatabase();
    const opened: (() => Promise<void>)[] = [];
    const connect = () => {
      const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "topic", poolSize: 4 });
      opened.push(() => nodes.close());
      return nodes;
    };
    await installFramework(connect());
    return {
      clock: systemClock,
      topic(name): ClosableTopic {
        const port = postgresTopic(declaredTopic(name, { partitions }), connect(), systemClock);
        opened.push(() => port.close());
        return port;
      },
      async close() {
        // Last opened, first closed: a topic before its pools.
        for (const close of opened.reverse()) await close();
      },
    };
  },
};

topicSuite(suite);
topicConsumerSuite(suite);

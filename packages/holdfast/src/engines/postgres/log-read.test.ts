import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../clock/index.ts";
import { startTestPostgres, type TestPostgres } from "../../testkit/index.ts";
import { installFramework } from "./install.ts";
import { openDatabaseNodes } from "./nodes.ts";
import { postgresTopic } from "./topic.ts";
import { declaredTopic } from "./topic-testing.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

test("reading keeps its session, also when there is nothing to read", async () => {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "topic", poolSize: 1 });
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("events", { partitions: 1 }), nodes, systemClock);
  try {
    const [claim] = await port.heartbeat("reader", "a", 600_000);
    const processId = () =>
      nodes.primary(nodes.home).use(async (session) => {
        const { rows } = await session.send<{ pid: number }>({ text: "select pg_backend_pid() as pid" });
        return rows[0]?.pid;
      });
    const processIds = new Set([await processId()]);
    for (let i = 0; i < 500; i++) {
      if (!claim) throw new Error("the only member holds the only partition");
      expect(await port.next(claim, 10)).toBeUndefined();
      processIds.add(await processId());
    }
    expect(processIds.size).toBe(1);
  } finally {
    await port.close();
    await nodes.close();
  }
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, inCall } from "../../call/index.ts";
import { systemClock } from "../../clock/index.ts";
import type { PartitionClaim } from "../../parts/topic/index.ts";
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

async function scene(options: Parameters<typeof declaredTopic>[1]) {
  const config = await postgres.freshDatabase();
  const nodes = openDatabaseNodes(config, { clock: systemClock, applicationName: "bounds", poolSize: 4 });
  await installFramework(nodes);
  const port = postgresTopic(declaredTopic("bounded", { partitions: 1, ...options }), nodes, systemClock);
  return {
    config,
    port,
    async [Symbol.asyncDispose]() {
      await port.close();
      await nodes.close();
    },
  };
}

const messages = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ partition: 0, key: "k", json: String(n) }));

test("a publisher is refused while the slowest consumer is too far behind, and told which and how far", async () => {
  await using topic = await scene({ backlogMax: { messages: 100 } });
  const { port } = topic;
  // Without a consumer there is nobody who could be behind.
  await port.publish(messages(150));
  const [claim] = (await port.heartbeat("slow", "a", 60_000)) as [PartitionClaim];
  await port.heartbeat("screen", "b", 60_000, { from: "beginning", ephemeral: true });
  let refused: unknown;
  await until(
    async () => {
      refused = await port.publish(messages(1)).catch((error: unknown) => error);
      return refused !== undefined;
    },
    { what: "a refusal" },
  );
  expect(refused).toMatchObject({
    code: "HOLDFAST_OVERLOADED",
    outcome: "not-applied",
    data: { topic: "bounded", consumer: "slow", backlogMax: 100 },
  });
  expect(String(refused)).toMatch(/consumer "slow" is \d+ messages behind, and backlogMax allows 100/);
  for (let batch = await port.next(claim, 1_000); batch; batch = await port.next(claim, 1_000)) {
    await port.complete(claim, batch.sequence);
  }
  await until(
    async () =>
      port.publish(messages(1)).then(
        () => true,
        () => false,
      ),
    { what: "room" },
  );
});

test("a publisher that is to wait goes on when there is room, and gives up at its deadline", async () => {
  await using topic = await scene({ backlogMax: { messages: 10, whenFull: "wait" } });
  const { port } = topic;
  const [claim] = (await port.heartbeat("slow", "a", 60_000)) as [PartitionClaim];
  await port.publish(messages(10));
  using call = new Call(systemClock, { timeoutMs: 300 });
  const late = await inCall(call, () => port.publish(messages(5)).catch((error: unknown) => error));
  expect(late).toMatchObject({ code: "HOLDFAST_OVERLOADED", outcome: "not-applied" });
  let published = false;
  const waiting = port.publish(messages(5)).then(() => {
    published = true;
  });
  const batch = await port.next(claim, 100);
  expect(batch?.messages).toHaveLength(10);
  expect(published).toBe(false);
  await port.complete(claim, batch?.sequence ?? 0n);
  await waiting;
  expect(await port.lag("slow")).toBe(5n);
});

test("a publish that is too large for one statement is refused, and not taken for published", async () => {
  await using topic = await scene({ maxMessageBytes: 64 << 20 });
  const { port } = topic;
  const large = { partition: 0, key: "k", json: JSON.stringify("x".repeat(40 << 20)) };
  await expect(port.publish([large, large])).rejects.toMatchObject({
    code: "HOLDFAST_INPUT_INVALID",
    outcome: "not-applied",
  });
  await port.publish([{ ...large, json: "1" }]);
  expect(await port.lag("nobody")).toBe(1n);
});

/** The largest messages, and a wake-up connection that hears nothing. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
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

test("messages of 10 MB and one of 64 MiB go the whole way, few at a time", {
  timeout: 120_000,
}, async () => {
  await using topic = await scene({ maxMessageBytes: 64 << 20 });
  const { port } = topic;
  const text = (bytes: number, n: number) => JSON.stringify(String(n % 10).repeat(bytes - 2));
  const sizes = [...Array.from({ length: 8 }, () => 10_000_000), 64 << 20];
  for (const [n, bytes] of sizes.entries()) {
    await port.publish([{ partition: 0, key: "k", json: text(bytes, n) }]);
  }
  const [claim] = (await port.heartbeat("reader", "a", 60_000)) as [PartitionClaim];
  const got: number[] = [];
  for (;;) {
    const batch = await port.next(claim, { messagesMax: 100, bytesMax: 25 << 20 });
    if (!batch) break;
    expect(batch.messages.length).toBeLessThanOrEqual(2);
    for (const { value } of batch.messages) {
      expect((value as string)[0]).toBe(String(got.length % 10));
      got.push((value as string).length + 2);
    }
    await port.complete(claim, batch.sequence);
  }
  expect(got).toEqual(sizes);
});

test("a wake-up connection that hears nothing is found out and replaced", { timeout: 60_000 }, async () => {
  await using topic = await scene({});
  const { port, config } = topic;
  await port.heartbeat("reader", "a", 60_000);
  const stop = new AbortController();
  const waiting = (async () => {
    while (!stop.signal.aborted) await port.wait(600_000, stop.signal);
  })();
  const client = new pg.Client(config.nodes[0]?.primary);
  await client.connect();
  const listeners = async () => {
    const { rows } = await client.query(
      "select pid from pg_stat_activity where application_name = 'holdfast-topic' and datname = current_database()",
    );
    return rows.map(({ pid }) => pid as number);
  };
  await until(async () => (await listeners()).length === 1, { what: "somebody to listen" });
  const [first] = await listeners();
  // What a deposed server is to its listeners: it is there, and nothing is said on it any more.
  process.kill(first as number, "SIGSTOP");
  try {
    await until(async () => (await listeners()).some((pid) => pid !== first), {
      what: "another connection to listen",
      timeoutMs: 40_000,
    });
  } finally {
    process.kill(first as number, "SIGCONT");
    stop.abort();
    await waiting;
    await client.end();
  }
});

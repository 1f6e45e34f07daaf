import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { nothingIsLeft, seen, startServersElsewhere } from "./leftovers-testing.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { until } from "./wait.ts";

interface Client extends AsyncDisposable {
  readonly connection: NatsConnection;
  publish(text: string): Promise<number>;
}

async function clientOf(nats: TestNats, replicas: number): Promise<Client> {
  const connection = await connect({ ...nats.connection, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "orders", subjects: ["orders"], num_replicas: replicas });
  return {
    connection,
    publish: async (text) => (await jetstream(connection).publish("orders", text, { msgID: text })).seq,
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

test("three servers elect a leader of a stream, replace one that is killed, and take it back", async () => {
  await using nats = await startTestNats();
  await using client = await clientOf(nats, 3);
  expect(await client.publish("one")).toBe(1);
  const killed = await nats.streamLeader("orders");
  await killed.kill();
  const next = await nats.streamLeader("orders");
  expect(next).not.toBe(killed);
  expect(nats.members).toContain(await nats.leader());
  expect(await until(() => client.publish("two"), { what: "an acknowledged message" })).toBe(2);
  await killed.restart();
  const manager = await jetstreamManager(client.connection);
  const peers = await until(
    async () => {
      const { cluster } = await manager.streams.info("orders");
      const current = cluster?.replicas?.filter((replica) => replica.current && !replica.offline);
      return current?.length === 2 && current.map((replica) => replica.name);
    },
    { what: "a stream whose replicas are all current" },
  );
  expect(peers).toContain(killed.name);
});

test("two clusters at once know nothing of each other and leave nothing behind", async () => {
  const clusters = await Promise.all([startTestNats(), startTestNats({ members: 1 })]);
  const members = clusters.flatMap((cluster) => cluster.members);
  {
    await using client = await clientOf(clusters[1], 1);
    expect(await client.publish("one")).toBe(1);
    expect(await clusters[1].streamLeader("orders")).toBe(clusters[1].members[0]);
  }
  await expect(clusters[0].streamLeader("orders", { timeoutMs: 100 })).rejects.toThrow(
    "a leader of stream orders did not hold within 100 ms",
  );
  await clusters[0].members[1]?.pause();
  const left = await seen(members.map((member) => member.pid));
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await nothingIsLeft(left);
});

test("a test process that is killed takes its servers with it", async () => {
  const { victim, left } = await startServersElsewhere("./nats.ts", "startTestNats", "{}");
  await using _ = victim;
  expect(left.processes).toHaveLength(3);
  await victim.kill();
  await nothingIsLeft(left);
});

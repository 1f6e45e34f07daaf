/**
 * Who gets which message: a topic with subjects, a group whose members share them, another group that gets some of
 * them, and a broadcast.
 *
 *   node examples/topic-routing.ts
 */
import { database, installWorld, system, topic } from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { installFramework, openDatabaseNodes } from "holdfast/postgres";
import { openWorld, type SubscribeOptions, subscribe } from "holdfast/runtime";
import { startTestPostgres, until } from "holdfast/testkit";
import * as v from "valibot";

const home = database("home", { shards: { count: 4 } });
const Order = v.object({ id: v.string(), region: v.string(), state: v.string() });
const orders = topic("orders", {
  schema: Order,
  keyBy: (order) => order.id,
  route: (order) => `orders.${order.region}.${order.state}`,
  partitions: 4,
});

await using postgres = await startTestPostgres();
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await installFramework(nodes);
await nodes.close();
const config = { name: "example", databases: { home: postgres.config }, poolSize: 8 };
const open = openWorld(system("example", { parts: { home, orders } }), config, {
  clock,
  applicationName: "example",
});
installWorld(open.world);

const stop = new AbortController();
const got: Record<string, string[]> = {};
const listening: Promise<void>[] = [];
function listen(name: string, options: SubscribeOptions) {
  const list: string[] = [];
  got[name] = list;
  const read = async () => {
    for await (const { value } of subscribe(orders, { ...options, signal: stop.signal, leaseMs: 1_000 })) {
      list.push(`${value.id} ${value.state} in ${value.region}`);
    }
  };
  listening.push(read());
}

// Point to point: two members of one group share what there is, each order goes to one of them.
listen("billing, first process", { group: "billing", only: ["orders.*.paid"] });
listen("billing, second process", { group: "billing", only: ["orders.*.paid"] });
// Publish and subscribe: another group gets everything that it asks for, whatever the others do.
listen("warehouse in Europe", { group: "warehouse-eu", only: ["orders.eu.>"] });
// Broadcast: without a group each process gets everything from now on, and leaves nothing behind.
listen("a screen", {});
await until(async () => (await orders.consumers()).length === 3, { what: "three groups" });
await until(async () => (await orders.consumers()).every(({ members }) => members.length > 0));

const regions = ["eu", "us"];
await orders.publish(
  regions.flatMap((region) => ["created", "paid"].map((state) => ({ id: `${region}-1`, region, state }))),
);
await until(() => got["a screen"]?.length === 4 && got["warehouse in Europe"]?.length === 2);
const billed = () => [...(got["billing, first process"] ?? []), ...(got["billing, second process"] ?? [])];
await until(() => billed().length === 2);
stop.abort();
await Promise.all(listening);

console.log(`billing, both together: ${billed().sort().join(", ")}`);
console.log(`warehouse in Europe: ${got["warehouse in Europe"]?.join(", ")}`);
console.log(`a screen: ${got["a screen"]?.sort().join(", ")}`);
const left = (await orders.consumers()).map(({ name, messages }) => `${name} ${messages} behind`);
console.log(`groups that stay: ${left.join(", ")}`);
await open.close();

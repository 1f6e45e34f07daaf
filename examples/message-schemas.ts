/**
 * Three releases of a system whose orders change: a currency with a default, then cents instead of a total. The third
 * release reads what the first two have written. A change that old messages would not survive is refused.
 *
 *   node examples/message-schemas.ts
 */
import {
  type BatchHandler,
  database,
  inWorld,
  system,
  topic,
  type VersionedSchema,
  versions,
  worker,
} from "holdfast";
import { systemClock as clock } from "holdfast/clock";
import { installFramework, openDatabaseNodes } from "holdfast/postgres";
import { consumeTopic, openWorld } from "holdfast/runtime";
import { startTestPostgres, until } from "holdfast/testkit";
import * as z from "zod";

const OrderV1 = z.object({ id: z.string(), total: z.number() });
const OrderV2 = OrderV1.extend({ currency: z.string().default("EUR") });
const OrderV3 = z.object({ id: z.string(), cents: z.int(), currency: z.string() });
const toCents = (old: z.infer<typeof OrderV2>) => ({ ...old, cents: Math.round(old.total * 100) });

const first = versions("full", [OrderV1]);
const second = versions("full", [OrderV1, OrderV2]);
const third = versions("backward", [OrderV1, OrderV2, { schema: OrderV3, upgrade: toCents }]);

await using postgres = await startTestPostgres();
const main = database("main", { shards: { count: 4 } });
const nodes = openDatabaseNodes(postgres.config, { clock, applicationName: "example" });
await installFramework(nodes);
await nodes.close();

/** What a release declares, and its world on the same servers. */
function release<Order extends { id: string }>(schema: VersionedSchema<unknown, Order>) {
  const orders = topic("orders", { schema, keyBy: ({ id }) => id, partitions: 1 });
  const handler: BatchHandler<Order> = async ({ messages }) => {
    for (const { value, version } of messages) console.log(`written with version ${version}:`, value);
  };
  const show = worker("show", { from: orders, load: async () => ({ default: handler }) });
  const config = { name: "example", databases: { main: postgres.config }, poolSize: 4 };
  const open = openWorld(system("shop", { parts: { main, orders, show } }), config, {
    clock,
    applicationName: "example",
  });
  return {
    orders,
    handler,
    show,
    open,
    publish: (order: Order) => inWorld(open.world, () => orders.publish(order)),
  };
}

const one = release(first);
await one.publish({ id: "a", total: 9.5 });
await one.open.close();

const two = release(second);
await two.publish({ id: "b", total: 20, currency: "USD" });
await two.open.close();

const three = release(third);
await three.publish({ id: "c", cents: 1250, currency: "EUR" });
const stop = new AbortController();
const port = three.open.world.port(three.orders);
const consuming = consumeTopic({
  worker: three.show,
  topic: port,
  handler: three.handler,
  clock,
  world: three.open.world,
  signal: stop.signal,
  memberName: "show-1",
});
await until(async () => (await port.lag("show")) === 0n, { what: "every order to be shown" });
stop.abort();
await consuming;
await three.open.close();

// A required field that old messages lack, and nothing that fills it in: refused before anything starts.
const careless = versions("backward", [OrderV1, OrderV1.extend({ email: z.email() })]);
try {
  release(careless as unknown as VersionedSchema<unknown, { id: string }>);
} catch (error) {
  console.log((error as Error).message);
}

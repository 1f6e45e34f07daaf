import { type } from "arktype";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { systemClock as clock } from "../clock/index.ts";
import { installFramework } from "../engines/postgres/install.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { database, inWorld, system, topic, worker } from "../parts/index.ts";
import { type VersionedSchema, versions } from "../parts/schema/index.ts";
import type { StoredMessage } from "../parts/topic/index.ts";
import { startTestPostgres, type TestPostgres, until } from "../testkit/index.ts";
import { consumeTopic, openWorld } from "./index.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres?.stop());

const V1 = z.object({ id: z.string(), total: z.number() });
const V2 = V1.extend({ currency: z.string().default("EUR") });
const V3 = z.object({ id: z.string(), cents: z.int(), currency: z.string() });

/** The system as a release has it, on `config`. */
async function release(
  config: Awaited<ReturnType<TestPostgres["freshDatabase"]>>,
  schema: VersionedSchema<never, { id: string }>,
) {
  const main = database("main", { shards: { count: 4 } });
  const orders = topic("orders", { schema, keyBy: ({ id }) => id, partitions: 1 });
  const tally = worker("tally", { from: orders, load: async () => ({ default: () => {} }) });
  const nodes = openDatabaseNodes(config, { clock, applicationName: "test" });
  await installFramework(nodes);
  await nodes.close();
  const open = openWorld(
    system("shop", { parts: { main, orders, tally } }),
    { name: "test", databases: { main: config }, poolSize: 4 },
    { clock, applicationName: "test" },
  );
  const publish = (value: object) => inWorld(open.world, () => orders.publish(value as never));
  /** Consumes until so many messages were handled, or an error was reported. */
  const consume = async (count: number) => {
    const stop = new AbortController();
    const seen: StoredMessage[] = [];
    const errors: unknown[] = [];
    const consuming = consumeTopic({
      worker: tally,
      topic: open.world.port(orders),
      handler: async ({ messages }) => void seen.push(...(messages as StoredMessage[])),
      clock,
      world: open.world,
      signal: stop.signal,
      memberName: "tally-1",
      onError: (error) => errors.push(error),
    });
    await until(() => seen.length >= count || errors.length > 0, { what: "messages, or an error" });
    stop.abort();
    await consuming;
    return { seen: seen.map(({ value, version }) => ({ value, version })), errors };
  };
  return { publish, consume, close: () => open.close() };
}

test("what older releases wrote is read by a newer one: with defaults, and through upgrades", async () => {
  const config = await postgres.freshDatabase();
  const first = await release(config, versions("full", [V1]) as never);
  await first.publish({ id: "a", total: 1.5 });
  await first.close();
  const second = await release(config, versions("full", [V1, V2]) as never);
  await second.publish({ id: "b", total: 2, currency: "USD" });
  await second.close();
  const toCents = (old: unknown) => {
    const { total, ...rest } = old as z.infer<typeof V2>;
    return { ...rest, cents: Math.round(total * 100) };
  };
  const third = await release(
    config,
    versions("backward-transitive", [V1, V2, { schema: V3, upgrade: toCents }]) as never,
  );
  await third.publish({ id: "c", cents: 3, currency: "EUR" });
  const { seen } = await third.consume(3);
  expect(seen).toEqual([
    { value: { id: "a", cents: 150, currency: "EUR" }, version: 1 },
    { value: { id: "b", cents: 200, currency: "USD" }, version: 2 },
    { value: { id: "c", cents: 3, currency: "EUR" }, version: 3 },
  ]);
  await third.close();
});

test("a version that was registered never changes, and dropped ones still count", async () => {
  const config = await postgres.freshDatabase();
  const first = await release(config, versions("backward", [V1]) as never);
  await first.publish({ id: "a", total: 1 });
  await first.close();
  const changed = await release(config, versions("backward", [V3]) as never);
  await expect(changed.publish({ id: "a", cents: 1, currency: "EUR" })).rejects.toMatchObject({
    code: "HOLDFAST_SCHEMA_INCOMPATIBLE",
    outcome: "not-applied",
    message: expect.stringContaining(
      'topic "orders": version 1 is declared otherwise than it was registered',
    ),
  });
  await changed.close();
  const dropped = await release(config, versions("backward", [V3], { first: 2 }) as never);
  await expect(dropped.publish({ id: "a", cents: 1, currency: "EUR" })).rejects.toMatchObject({
    data: {
      problems: [
        expect.stringContaining("version 2 cannot read what version 1 writes: `cents`"),
        expect.stringContaining("version 2 cannot read what version 1 writes: `currency`"),
      ],
    },
  });
  await dropped.close();
});

test("the same version in another library's words is the same version", async () => {
  const config = await postgres.freshDatabase();
  const zod = await release(
    config,
    versions("full", [z.object({ id: z.string(), n: z.number().optional() })]) as never,
  );
  await zod.publish({ id: "a", n: 1 });
  await zod.close();
  const ark = type({ id: "string", "n?": "number", "+": "delete" });
  const other = await release(config, versions("full", [ark]) as never);
  await other.publish({ id: "b" });
  expect((await other.consume(2)).seen.map(({ value }) => value)).toEqual([{ id: "a", n: 1 }, { id: "b" }]);
  await other.close();
});

test("a message that does not fit is reported by its id, version and reason, and not handled", async () => {
  const config = await postgres.freshDatabase();
  const newer = await release(config, versions("none", [V1, V3]) as never);
  await newer.publish({ id: "a", cents: 7, currency: "EUR" });
  await newer.close();
  const older = await release(config, versions("none", [V1]) as never);
  const { seen, errors } = await older.consume(1);
  expect(seen).toEqual([]);
  expect(errors[0]).toMatchObject({
    code: "HOLDFAST_SCHEMA_MISMATCH",
    message: expect.stringMatching(
      /topic "orders": message 1 was written with version 2 and does not fit version 1: total: /,
    ),
    data: { written: 2, reader: 1 },
  });
  await older.close();
});

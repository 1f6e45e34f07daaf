/**
 * Messages of a topic and what a worker made of them: each client publishes to a key of its own, one after the
 * other; a worker appends what it gets to a table. At the end the table is read. What was acknowledged is there
 * once, what failed is not, and the messages of a key are in their order.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { sql } from "kysely";
import { systemClock } from "../../clock/index.ts";
import { currentWorld, database, system, topic, worker } from "../../parts/index.ts";
import { consumeTopic } from "../../runtime/consume.ts";
import { deliveredOnceInOrder } from "./delivered-once.ts";
import type { Workload } from "./workload.ts";

interface Tables {
  delivered: { position: number; key: string; number: number };
}

interface Message {
  readonly key: string;
  readonly number: number;
}

const anyMessage: StandardSchemaV1<Message, Message> = {
  "~standard": { version: 1, vendor: "holdfast", validate: (value) => ({ value: value as Message }) },
};

export interface PublishedOptions {
  /** Members of the consumer's group. Default 2. */
  readonly members?: number;
  /**
   * Appends without the batch's guard, and fails once after it: then the batch comes again and counts twice. A
   * harness that cannot say so proves nothing.
   */
  readonly unguarded?: boolean;
}

export function published({ members = 2, unguarded = false }: PublishedOptions = {}): Workload {
  const db = database<Tables>("deliveries", { shards: { count: 4 } });
  const events = topic("events", { schema: anyMessage, keyBy: (message) => message.key, partitions: 4 });
  const collect = worker<Message>("collect", {
    from: events,
    batch: 20,
    leaseMs: 2_000,
    load: () => Promise.reject(new Error("it runs in this process")),
  });
  let published = 0;
  let failures = 0;

  const append = (key: string, number: number) =>
    sql`insert into delivered (key, number) values (${key}, ${number})`;

  return {
    name: "topic to worker to table",
    system: system("deliveries", { parts: { db, events, collect } }),
    checkers: [deliveredOnceInOrder],
    reads: ["read"],
    async prepare() {
      for (const shard of db.shards()) {
        await shard.write(async (tx) => {
          await sql`create table delivered (position int generated always as identity primary key,
            key text not null, number int not null)`.execute(tx);
        });
      }
    },
    plan(client) {
      return { f: "publish", key: `k${client.number}`, value: ++published };
    },
    async perform({ f, key, value }) {
      if (f === "publish") {
        await events.publish({ key: key as string, number: value as number });
        return value;
      }
      // Nothing is under way any more: read once the worker has completed all that there is.
      while ((await currentWorld().port(events).lag(collect.name)) > 0n) await systemClock.sleep(50);
      const found: Message[] = [];
      for (const shard of db.shards()) {
        found.push(
          ...(await shard.read("strong", (sql) =>
            sql.selectFrom("delivered").select(["key", "number"]).orderBy("position").execute(),
          )),
        );
      }
      return found.map((row) => [row.key, row.number]);
    },
    async background(signal) {
      const world = currentWorld();
      const consuming = Array.from({ length: members }, (_, index) =>
        consumeTopic<Message>({
          worker: collect,
          topic: world.port(events),
          clock: systemClock,
          world,
          signal,
          memberName: `collect-${index + 1}`,
          async handler(batch) {
            if (unguarded) {
              for (const { value } of batch.messages) {
                await db.at(value.key).write((tx) => append(value.key, value.number).execute(tx));
              }
              if (++failures === 1) throw new Error("it fails after its work, once");
              return;
            }
            await batch.apply(
              db,
              (message) => message.key,
              async (tx, messages) => {
                for (const { value } of messages) await append(value.key, value.number).execute(tx);
              },
            );
          },
        }),
      );
      await Promise.all(consuming);
    },
    conclude: () => [{ f: "read", value: null }],
  };
}

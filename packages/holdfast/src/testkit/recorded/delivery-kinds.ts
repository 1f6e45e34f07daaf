/**
 * The ways in which a message gets from a client to a worker, each as a system of its own: what puts it in, what works
 * on it, and what is still pending. Plain data chooses one, so that workers in processes of their own choose the same.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { sql } from "kysely";
import { systemClock } from "../../clock/index.ts";
import { type Database, database } from "../../parts/database/index.ts";
import { type System, system, topic, type World, worker } from "../../parts/index.ts";
import type { Recorder } from "../../record/index.ts";
import { consumeTopic } from "../../runtime/consume.ts";
import { recordedTopic } from "./recorded-attempts.ts";

export interface Delivery {
  readonly key: string;
  readonly number: number;
}

export interface DeliveryTables {
  delivered: { position: number; key: string; number: number };
}

export interface DeliveryKindOptions {
  readonly kind: "topic";
  /** How long a silent worker keeps what it holds, in milliseconds. */
  readonly leaseMs: number;
  /** Nodes of the database. */
  readonly nodes: number;
  /** Whether commits wait for a replica. */
  readonly synchronous: boolean;
  /** How long a worker takes before its effect, and again after it, in milliseconds: so it can die in between. */
  readonly workMs: number;
  /**
   * Appends without a guard, and fails once after it: then the work comes again and counts twice. A harness that
   * cannot say so proves nothing.
   */
  readonly unguarded: boolean;
}

export interface DeliveryKind {
  readonly system: System;
  readonly db: Database<DeliveryTables>;
  /** Puts it in. */
  put(message: Delivery): Promise<void>;
  /** A worker's loop, recorded. Resolves when it has drained, after `signal` aborted. */
  work(options: DeliveryWork): Promise<void>;
  /** How many messages are not completed yet. */
  pending(world: World): Promise<number>;
}

export interface DeliveryWork {
  readonly world: World;
  readonly recorder: Recorder;
  readonly member: string;
  readonly signal: AbortSignal;
}

export const anyDelivery: StandardSchemaV1<Delivery, Delivery> = {
  "~standard": { version: 1, vendor: "holdfast", validate: (value) => ({ value: value as Delivery }) },
};

export function deliveryKind(options: DeliveryKindOptions): DeliveryKind {
  const { nodes, synchronous } = options;
  const db = database<DeliveryTables>("deliveries", {
    migrations: new URL("./migrations/deliveries/", import.meta.url),
    shards: { count: 4 },
    nodes,
    ...(synchronous ? { replicas: 1, replication: { mode: "synchronous", onReplicaLoss: "stall" } } : {}),
  });
  return byTopic(db, options);
}

export const append = (key: string, number: number) =>
  sql`insert into delivered (key, number) values (${key}, ${number})`;

function byTopic(
  db: Database<DeliveryTables>,
  { leaseMs, workMs, unguarded }: DeliveryKindOptions,
): DeliveryKind {
  const events = topic("events", { schema: anyDelivery, keyBy: ({ key }) => key, partitions: 4 });
  const collect = worker<Delivery>("collect", {
    from: events,
    batch: 20,
    leaseMs,
    load: () => Promise.reject(new Error("it runs here")),
  });
  let failures = 0;
  return {
    system: system("deliveries", { parts: { db, events, collect } }),
    db,
    put: (message) => events.publish(message),
    pending: async (world) => Number(await world.port(events).lag(collect.name)),
    work: ({ world, recorder, member, signal }) =>
      consumeTopic<Delivery>({
        worker: collect,
        topic: recordedTopic<Delivery>(world.port(events), recorder, ({ number }) => number),
        clock: systemClock,
        world,
        signal,
        memberName: member,
        async handler(batch) {
          if (unguarded) {
            for (const { value } of batch.messages) {
              await db.at(value.key).write((tx) => append(value.key, value.number).execute(tx));
            }
            if (++failures === 1) throw new Error("it fails after its work, once");
            return;
          }
          await systemClock.sleep(workMs);
          await batch.apply(
            db,
            (message) => message.key,
            async (tx, messages) => {
              for (const { value } of messages) await append(value.key, value.number).execute(tx);
            },
          );
          await systemClock.sleep(workMs);
        },
      }),
  };
}

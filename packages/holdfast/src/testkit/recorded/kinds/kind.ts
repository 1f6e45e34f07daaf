/** A way in which messages get from clients to workers, as a recorded run needs to know it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { sql } from "kysely";
import { HoldfastError } from "../../../call/index.ts";
import type { DatabaseConfig } from "../../../engines/postgres/config.ts";
import { type Database, database } from "../../../parts/database/index.ts";
import type { System, World } from "../../../parts/index.ts";
import type { Recorder } from "../../../record/index.ts";

export interface Delivery {
  readonly key: string;
  readonly number: number;
}

export interface DeliveryTables {
  delivered: { position: number; key: string; number: number };
  /** What clients write with what they publish, and what a change feed reads. */
  source: { number: number; key: string };
}

/** Plain data, so that workers in processes of their own have the same. */
export interface DeliveryKindOptions {
  readonly kind: DeliveryKindName;
  /** How long a silent worker keeps what it holds, in milliseconds. */
  readonly leaseMs: number;
  /** Nodes of the database. */
  readonly nodes: number;
  /** Whether commits wait for a replica. */
  readonly synchronous: boolean;
  /** How long a worker takes before its effect, and again after it, in milliseconds: so it can die in between. */
  readonly workMs: number;
  /** One message in so many can never be worked on, and ends as a dead letter. 0: none. */
  readonly poisonEvery: number;
  /**
   * Appends without a guard, and fails once after it: then the work comes again and counts twice. A harness that
   * cannot say so proves nothing.
   */
  readonly unguarded: boolean;
}

export type DeliveryKindName = "topic" | "outbox" | "queue" | "ordered queue" | "change feed";

export interface DeliveryKind {
  readonly system: System;
  readonly db: Database<DeliveryTables>;
  /** Whether the messages of a key keep their order. */
  readonly inOrder: boolean;
  /** Whether a completion that was taken is durable. */
  readonly completionIsFinal: boolean;
  /** Puts it in. */
  put(message: Delivery): Promise<void>;
  /** A worker's loop, recorded. Resolves when it has drained, after `signal` aborted. */
  work(options: DeliveryWork): Promise<void>;
  /** What has to run beside the clients for it, until `signal` aborts. */
  beside?(databases: Readonly<Record<string, DatabaseConfig>>, signal: AbortSignal): Promise<void>;
  /** How many messages are neither completed nor dead letters yet. */
  pending(world: World): Promise<number>;
  /** Numbers of the dead letters. */
  dead(world: World): Promise<readonly number[]>;
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

export function deliveriesDatabase({ nodes, synchronous }: DeliveryKindOptions): Database<DeliveryTables> {
  return database<DeliveryTables>("deliveries", {
    migrations: new URL("../migrations/deliveries/", import.meta.url),
    shards: { count: 4 },
    nodes,
    ...(synchronous ? { replicas: 1, replication: { mode: "synchronous", onReplicaLoss: "stall" } } : {}),
  });
}

export const append = ({ key, number }: Delivery) =>
  sql`insert into delivered (key, number) values (${key}, ${number})`;

/** @throws {HoldfastError} permanent, for a message that can never be worked on */
export function refusePoison({ poisonEvery }: DeliveryKindOptions, { number }: Delivery): void {
  if (poisonEvery === 0 || number % poisonEvery !== 0) return;
  throw new HoldfastError("HOLDFAST_INPUT_INVALID", `message ${number} can never be worked on`, {
    data: { number },
  });
}

export const runsHere = () => Promise.reject(new Error("a recorded run calls the handler itself"));

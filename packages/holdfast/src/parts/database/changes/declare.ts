/**
 * `database.changes(table)`: what is committed to a table, as a topic that workers consume like any other.
 *
 * Nothing publishes to it by hand: a relay decodes each node's log and appends to the topic's, once. This is the
 * declaration; the relay is an engine's.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError, refuseProblems } from "../../../call/index.ts";
import { type DatabasePart, namingProblem } from "../../part.ts";
import { type ResolvedTopicOptions, type Topic, topic } from "../../topic/declare.ts";
import type { Change } from "./change.ts";

export interface ChangeFeedOptions {
  /** Name of the topic, as for any part. Default: `<database>-<table>-changes`. */
  readonly name?: string;
  /**
   * Where it begins, when it is first run: `now` tells what is committed from then on; `snapshot` tells every row that
   * is there first, and goes on from that very point. Default `now`. Afterwards it goes on where it was.
   */
  readonly from?: "now" | "snapshot";
  /** As a topic's. Default 8. */
  readonly partitions?: number;
  /** The database whose first node keeps the log. Default: the one whose changes are told. */
  readonly home?: DatabasePart;
  /** As a topic's, in milliseconds. Default 86_400_000 (a day). */
  readonly retentionMs?: number;
  /**
   * Bytes of the topic's log that may wait for a consumer, 1 MiB or more. Default 4 GiB. One that does not consume
   * has so much kept for it, and no more: then the feed stands still, and the servers keep their log for it within
   * `max_slot_wal_keep_size`. What is beyond that is told anew, as rows, once there is room.
   */
  readonly backlogBytesMax?: number;
}

/** What the engine that feeds the topic has to know. */
export interface ResolvedFeed {
  readonly database: string;
  readonly table: string;
  readonly from: "now" | "snapshot";
  readonly backlogBytesMax: number;
}

export const changeFeedDefaults = { from: "now", backlogBytesMax: 4 * 2 ** 30 } as const;

export interface ChangeFeed<Row> extends Topic<Change<Row>> {
  readonly options: ResolvedTopicOptions & { readonly feed: ResolvedFeed };
}

/** Whether a topic is fed by a database's log. */
export function feedOf(part: { readonly options: object }): ResolvedFeed | undefined {
  return (part.options as { readonly feed?: ResolvedFeed }).feed;
}

/** Rows come from the database as they are: there is nothing to refuse. */
const asItIs: StandardSchemaV1<unknown, Change<never>> = {
  "~standard": { version: 1, vendor: "holdfast", validate: (value) => ({ value: value as Change<never> }) },
};

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function changeFeed<Row>(
  database: DatabasePart,
  table: string,
  options: ChangeFeedOptions = {},
): ChangeFeed<Row> {
  const { from = changeFeedDefaults.from, backlogBytesMax = changeFeedDefaults.backlogBytesMax } = options;
  const name = options.name ?? `${database.name}-${table.replaceAll("_", "-").toLowerCase()}-changes`;
  const problems: string[] = [];
  if (!(typeof table === "string" && /^[^\0]{1,63}$/.test(table)))
    problems.push(`table should be the name of a table, of 1 to 63 characters, got ${JSON.stringify(table)}`);
  const naming = namingProblem("topic", name);
  if (naming) {
    const remedy = options.name === undefined ? '; give the feed a name: changes(table, { name: "…" })' : "";
    problems.push(`${naming}${remedy}`);
  }
  if (from !== "now" && from !== "snapshot")
    problems.push(`from should be "now" or "snapshot", got ${JSON.stringify(from)}`);
  if (!(Number.isSafeInteger(backlogBytesMax) && backlogBytesMax >= 2 ** 20))
    problems.push(
      `backlogBytesMax should be a whole number of bytes, at least 1048576, got ${backlogBytesMax}`,
    );
  const { partitions, retentionMs } = options;
  if (partitions !== undefined && !(Number.isInteger(partitions) && partitions >= 1 && partitions <= 256))
    problems.push(`partitions should be a whole number from 1 to 256, got ${partitions}`);
  if (retentionMs !== undefined && !(retentionMs >= 1000))
    problems.push(`retentionMs should be at least 1000, got ${retentionMs}`);
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `changes of ${database.name}.${table}`, problems);
  const declared = topic(name, {
    schema: asItIs,
    // Never asked: the relay keys its messages itself, by the columns that it finds.
    keyBy: () => "",
    home: options.home ?? database,
    ...(partitions === undefined ? {} : { partitions }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
  });
  const feed: ResolvedFeed = Object.freeze({ database: database.name, table, from, backlogBytesMax });
  return Object.assign(declared as unknown as Topic<Change<Row>>, {
    options: Object.freeze({ ...declared.options, feed }),
    publish: () => Promise.reject(publishError(name, database.name, table)),
  });
}

function publishError(name: string, database: string, table: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `topic "${name}" tells the changes of table "${table}" of database "${database}": nothing else is published to it. Write to the table, or declare a topic of your own.`,
    { data: { topic: name, database, table } },
  );
}

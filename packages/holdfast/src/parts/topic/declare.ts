/**
 * `topic`: a log of messages, in partitions, in order per key.
 *
 * Publishing is durable when it resolves. Consumers form groups; each partition is read by one member of a
 * group at a time, in batches whose effects on a database happen once (`Batch.apply`).
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import {
  type Call,
  currentCall,
  formatTraceparent,
  HoldfastError,
  refuseProblems,
} from "../../call/index.ts";
import { appendIn, type InTransaction, type OutboxEntry, refuseInside } from "../outbox/index.ts";
import { type Bindable, type DatabasePart, namingProblem } from "../part.ts";
import { type Versions, versionsOf } from "../schema/index.ts";
import { boundPort, currentWorld } from "../world.ts";
import { type ConsumerHandle, consumerHandle } from "./consumer.ts";
import type { ConsumerState, OutgoingMessage, TopicPort } from "./port.ts";
import { prepareMessage } from "./prepare-message.ts";

export interface TopicOptions<Schema extends StandardSchemaV1> {
  /**
   * Any Standard Schema (Valibot, Zod, ArkType …): what does not fit is refused at `publish`. Of a schema that changes
   * through the years: `versions("full", [OrderV1, OrderV2])`.
   */
  readonly schema: Schema;
  /** Messages with one key keep their order. At most 255 characters. */
  readonly keyBy: (value: StandardSchemaV1.InferOutput<Schema>) => string;
  /**
   * The subject of a message, such as `orders.eu.created`: consumers choose by it (`only: ["orders.*.created"]`).
   * Words of letters, digits, _ and - between dots, at most 255 characters. Default: no subjects.
   */
  readonly route?: (value: StandardSchemaV1.InferOutput<Schema>) => string;
  /** Number of partitions, 1 to 256: the most members of a group that can work at once. Default 8. */
  readonly partitions?: number;
  /** The database whose first node keeps the log. Default: the system's first database. */
  readonly home?: DatabasePart;
  /** Largest message, as JSON, in bytes. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /**
   * How long messages are kept at least, in milliseconds by the store's clock, 1_000 or more. Default
   * 86_400_000 (a day). Messages that a consumer has not completed are kept until it has; a consumer that is
   * new begins with the oldest message kept. Longer takes more disk.
   */
  readonly retentionMs?: number;
  /**
   * What happens when a consumer is too far behind. Default: nothing; messages are kept until it has read them, and
   * the disk of the home is the limit.
   */
  readonly backlogMax?: BacklogOptions;
}

export interface BacklogOptions {
  /** Most messages that the slowest consumer may be behind, 1 to 1_000_000_000. Ephemeral consumers do not count. */
  readonly messages: number;
  /**
   * Beyond that `publish` throws HOLDFAST_OVERLOADED (`refuse`, the default), or waits until there is room, its
   * deadline passes, or ten seconds do without a deadline (`wait`).
   *
   * The bound is kept about, not exactly: how far consumers are is looked up every second, or less often when that
   * takes long, and each process counts what it published since; what others published meanwhile it does not know.
   */
  readonly whenFull?: "refuse" | "wait";
}

export interface ResolvedTopicOptions {
  readonly partitions: number;
  readonly home: DatabasePart | undefined;
  readonly maxMessageBytes: number;
  readonly retentionMs: number;
  /** Whether messages have subjects. */
  readonly hasSubjects: boolean;
  readonly backlogMax: Required<BacklogOptions> | undefined;
  /** Of a schema that was declared with `versions`. */
  readonly versions: Versions | undefined;
}

export const topicDefaults = { partitions: 8, maxMessageBytes: 1 << 20, retentionMs: 86_400_000 } as const;

/** Most messages in one `publish`: they are one transaction. */
export const publishMessagesMax = 10_000;

export interface PublishOptions {
  /**
   * The `tx` of a write, of any database of the system: the messages commit with it or not at all, and are moved to
   * the topic afterwards, each once, in the order of the commits for each key. Resolves when they are part of the
   * transaction. Default: none, and then `publish` is refused inside a write.
   */
  readonly in?: InTransaction;
}

export interface Topic<Value> extends Bindable<TopicPort> {
  readonly kind: "topic";
  readonly options: ResolvedTopicOptions;
  /**
   * Resolves when the message is durable. Many at once (at most 10_000) are one transaction: all or none.
   *
   * Where the order of two publishes of one key matters, await the first before the second: when a connection
   * breaks between two that are under way at once, the second may be committed first.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID, HOLDFAST_OVERLOADED, HOLDFAST_UNAVAILABLE: not published.
   *   HOLDFAST_TX_OPEN inside a write without `in`; HOLDFAST_TX_ENDED with an `in` that has ended: not published.
   *   HOLDFAST_OUTCOME_UNKNOWN: the commit had no answer until the deadline. HOLDFAST_DEADLINE and
   *   HOLDFAST_ABORTED say in their outcome which of the two.
   */
  publish(value: Value | readonly Value[], options?: PublishOptions): Promise<void>;
  /** One of its consumers: the worker of that name, or a subscription. */
  consumer(name: string): ConsumerHandle;
  /** All of its consumers, and how far each is behind. */
  consumers(): Promise<readonly ConsumerState[]>;
  /**
   * For parts that append messages in transactions of their own, such as a schedule.
   *
   * @throws {HoldfastError} HOLDFAST_INPUT_INVALID when it does not fit
   */
  prepare(value: Value): Promise<OutboxEntry>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function topic<Schema extends StandardSchemaV1>(
  name: string,
  options: TopicOptions<Schema>,
): Topic<StandardSchemaV1.InferOutput<Schema>> {
  type Value = StandardSchemaV1.InferOutput<Schema>;
  const resolved = resolveTopicOptions(name, options);
  const { schema, keyBy, route } = options;
  const rule = {
    kind: "topic",
    name,
    schema,
    keyBy,
    route,
    partitions: resolved.partitions,
    versions: resolved.versions,
    bytesMax: resolved.maxMessageBytes,
  } as const;
  const during = <T>(operation: string, run: (port: TopicPort) => Promise<T>): Promise<T> =>
    currentWorld(handle).seam.operation("topic", name, operation, currentCall(), async () =>
      run(boundPort(handle)),
    );
  const handle: Topic<Value> = {
    kind: "topic",
    name,
    options: resolved,
    prepare: async (value) => outboxEntry(await prepareMessage(rule, value)),
    publish: (value, { in: tx } = {}) =>
      currentWorld(handle).seam.operation("topic", name, "publish", currentCall(), async () => {
        if (tx === undefined) refuseInside(handle, "publish");
        const values: readonly Value[] = Array.isArray(value) ? value : [value as Value];
        if (values.length === 0) return;
        if (values.length > publishMessagesMax) throw tooManyError(name, values.length);
        const port = boundPort(handle);
        const messages = await Promise.all(values.map((one) => prepareMessage(rule, one)));
        if (tx === undefined) return port.publish(messages);
        const entries = messages.map((message) => outboxEntry(message, currentCall()));
        await appendIn(tx, handle, entries, (database) => currentWorld(handle).has(database));
      }),
    consumer: (consumer) => consumerHandle(consumer, during),
    consumers: () => during("consumers", (port) => port.consumers()),
  };
  return handle;
}

/** What an entry of the outbox says beside key and value, when it is a topic's. */
export type TopicEntryOptions = Pick<OutgoingMessage, "subject" | "version">;

function outboxEntry({ key, json, subject, version }: OutgoingMessage, call?: Call): OutboxEntry {
  const plain = subject === undefined && version === undefined;
  return {
    key,
    json,
    ...(plain ? {} : { options: JSON.stringify({ subject, version } satisfies TopicEntryOptions) }),
    traceparent: call && formatTraceparent(call.trace),
    session: call?.session.encode() || undefined,
  };
}

function tooManyError(name: string, count: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `topic "${name}": ${count} messages in one publish; they are one transaction, so at most ${publishMessagesMax} are taken. Publish them in parts.`,
    { data: { topic: name, count, countMax: publishMessagesMax } },
  );
}

function resolveTopicOptions<Schema extends StandardSchemaV1>(
  name: string,
  options: TopicOptions<Schema>,
): ResolvedTopicOptions {
  const resolved: ResolvedTopicOptions = {
    partitions: options.partitions ?? topicDefaults.partitions,
    home: options.home,
    maxMessageBytes: options.maxMessageBytes ?? topicDefaults.maxMessageBytes,
    retentionMs: options.retentionMs ?? topicDefaults.retentionMs,
    hasSubjects: options.route !== undefined,
    backlogMax: options.backlogMax && { whenFull: "refuse", ...options.backlogMax },
    versions: options.schema && versionsOf(options.schema),
  };
  const problems: string[] = [];
  const naming = namingProblem("topic", name);
  if (naming) problems.push(naming);
  const { partitions, maxMessageBytes, retentionMs } = resolved;
  if (!(Number.isInteger(partitions) && partitions >= 1 && partitions <= 256)) {
    problems.push(`partitions should be a whole number from 1 to 256, got ${partitions}`);
  }
  if (!(Number.isInteger(maxMessageBytes) && maxMessageBytes >= 1 && maxMessageBytes <= 64 << 20)) {
    problems.push(`maxMessageBytes should be a whole number from 1 to 67108864, got ${maxMessageBytes}`);
  }
  if (!(retentionMs >= 1000)) problems.push(`retentionMs should be at least 1000, got ${retentionMs}`);
  if (options.route !== undefined && typeof options.route !== "function")
    problems.push("route should be a function from a message to its subject");
  problems.push(...backlogProblems(resolved.backlogMax));
  if (typeof options.keyBy !== "function")
    problems.push("keyBy should be a function from a message to its key");
  if (typeof options.schema?.["~standard"]?.validate !== "function") {
    problems.push("schema should be a Standard Schema (Valibot, Zod, ArkType …)");
  }
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `topic "${name}"`, problems);
  return Object.freeze(resolved);
}

function backlogProblems(backlog: Required<BacklogOptions> | undefined): string[] {
  if (!backlog) return [];
  const { messages, whenFull } = backlog;
  const problems: string[] = [];
  if (!(Number.isInteger(messages) && messages >= 1 && messages <= 1_000_000_000))
    problems.push(`backlogMax.messages should be a whole number from 1 to 1000000000, got ${messages}`);
  if (whenFull !== "refuse" && whenFull !== "wait")
    problems.push(`backlogMax.whenFull should be "refuse" or "wait", got ${String(whenFull)}`);
  return problems;
}

/**
 * The topics and queues of a running system, for whoever operates them from outside: by what the supervisor tells of
 * them, so that no code of the system is loaded.
 */
import { Call, inCall } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { postgresQueue } from "../engines/postgres/queue/queue.ts";
import { postgresTopic } from "../engines/postgres/topic.ts";
import type { QueueCounts, QueuePort } from "../parts/queue/index.ts";
import type { ConsumerState, TopicPort } from "../parts/topic/index.ts";
import { askControl } from "./control.ts";
import { redeclareQueue, redeclareTopic } from "./describe.ts";
import type { MessageParts, RunningDatabases } from "./running-databases.ts";

export interface OpenMessages extends AsyncDisposable {
  readonly queues: ReadonlyMap<string, QueuePort>;
  readonly topics: ReadonlyMap<string, TopicPort>;
}

export interface QueueStatus extends QueueCounts {
  readonly name: string;
}

export interface TopicStatus {
  readonly name: string;
  readonly consumers: readonly ConsumerState[];
}

export interface MessagesStatus {
  readonly queues: readonly QueueStatus[];
  readonly topics: readonly TopicStatus[];
}

/** Beyond so many messages a lag is told as "at least". */
export const lagCountedMax = 100_000;

/** @param socket of the supervisor */
export async function openMessages(socket: string, clock: Clock): Promise<OpenMessages> {
  const databases = (await askControl(socket, "GET", "/databases")) as RunningDatabases;
  const parts = (await askControl(socket, "GET", "/messages")) as MessageParts;
  const nodesOf = new Map<string, DatabaseNodes>();
  const closers: (() => Promise<void>)[] = [];
  const home = (name: string | undefined): DatabaseNodes | undefined => {
    const found = databases.find(({ described }) => name === undefined || described.name === name);
    if (!found) return undefined;
    const open =
      nodesOf.get(found.described.name) ??
      openDatabaseNodes(found.config, { clock, applicationName: "holdfast messages", poolSize: 2 });
    nodesOf.set(found.described.name, open);
    return open;
  };
  const queues = new Map<string, QueuePort>();
  for (const described of parts.queues) {
    const nodes = home(described.home);
    if (!nodes) continue;
    const port = postgresQueue(redeclareQueue(described), nodes, clock);
    closers.push(() => port.close());
    queues.set(described.name, port);
  }
  const topics = new Map<string, TopicPort>();
  for (const described of parts.topics) {
    const nodes = home(described.home);
    if (!nodes) continue;
    const port = postgresTopic(redeclareTopic(described), nodes, clock);
    closers.push(() => port.close());
    topics.set(described.name, port);
  }
  return {
    queues,
    topics,
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      for (const nodes of nodesOf.values()) await nodes.close();
    },
  };
}

/** How much waits, of all queues and topics, or of one. @throws {HoldfastError} when a home does not answer in time */
export async function messagesStatus(
  open: OpenMessages,
  clock: Clock,
  timeoutMs: number,
  only?: string,
): Promise<MessagesStatus> {
  using call = new Call(clock, { timeoutMs });
  return inCall(call, async () => {
    const wanted = <Port>(ports: ReadonlyMap<string, Port>) =>
      [...ports].filter(([name]) => only === undefined || name === only);
    const queues = await Promise.all(
      wanted(open.queues).map(async ([name, port]) => ({ name, ...(await port.counts()) })),
    );
    const topics = await Promise.all(
      wanted(open.topics).map(async ([name, port]) => ({
        name,
        consumers: await port.consumers(undefined, lagCountedMax),
      })),
    );
    return { queues, topics };
  });
}

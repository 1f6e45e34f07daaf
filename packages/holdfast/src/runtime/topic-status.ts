/** Asks each topic's home how far its consumers are, for `holdfast status`. */
import type { Clock } from "../clock/index.ts";
import { openDatabaseNodes } from "../engines/postgres/index.ts";
import { openTopicOperator } from "../engines/postgres/topic-operate.ts";
import type { SystemDescription } from "./describe.ts";
import type { RunningDatabases } from "./running-databases.ts";
import type { TopicStatus } from "./status.ts";

/** How long a home may take to answer, in milliseconds: a status does not wait for a server that is away. */
const answerMsMax = 1_000;
/** Counting stops here in each partition: a status does not read a whole log. */
const messagesMax = 100_000;

export interface TopicStatusReader {
  read(): Promise<TopicStatus[]>;
  close(): Promise<void>;
}

export function topicStatusReader(
  topics: SystemDescription["topics"],
  databases: RunningDatabases,
  clock: Clock,
): TopicStatusReader {
  const opened = databases.map(({ described, config }) => ({
    name: described.name,
    nodes: openDatabaseNodes(config, { clock, applicationName: "holdfast status", poolSize: 1 }),
  }));
  const asked = topics.flatMap(({ name, home, partitions }) => {
    const nodes = (home === undefined ? opened[0] : opened.find((one) => one.name === home))?.nodes;
    return nodes
      ? [{ name, operator: openTopicOperator(nodes, { name, partitions }, clock, answerMsMax) }]
      : [];
  });
  return {
    async read() {
      return Promise.all(
        asked.map(async ({ name, operator }) => {
          const consumers = await operator.consumers({ messagesMax }).catch(() => undefined);
          return {
            topic: name,
            consumers: consumers?.map((one) => ({
              name: one.name,
              messages: one.messages,
              isAtLeast: one.partitions.some(({ messages }) => messages >= messagesMax),
              oldestMs: one.oldestMs,
              deadLetters: one.deadLetters,
              members: one.members,
              ephemeral: one.ephemeral,
            })),
          };
        }),
      );
    },
    async close() {
      await Promise.all(opened.map(({ nodes }) => nodes.close()));
    },
  };
}

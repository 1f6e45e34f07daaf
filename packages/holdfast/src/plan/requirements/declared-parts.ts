/** What a system's own code says of its parts, in the planner's words. */
import { feedOf } from "../../parts/database/index.ts";
import type { System } from "../../parts/index.ts";
import type { DeclaredPart, DeclaredParts } from "./read-part.ts";

const exactly = (value: number) => ({ low: value, mid: value, high: value });

export function declaredParts(system: System): DeclaredParts {
  const parts = new Map<string, DeclaredPart>();
  if (system.edge) {
    parts.set(system.edge.name, { kind: "gateway", instances: system.edge.options.workers });
  }
  for (const { name, options } of system.services) {
    parts.set(name, { kind: "service", instances: options.instances.min });
  }
  for (const { name, options } of system.caches) {
    parts.set(name, { kind: "cache", ttlMs: exactly(options.ttlMs), maxBytes: exactly(options.maxBytes) });
  }
  for (const { name, options } of system.databases) {
    const { nodes, replicas, shardCount } = options;
    parts.set(name, { kind: "database", nodes, replicas, shards: shardCount });
  }
  // A topic's log and a queue's jobs live on the first node of their home, and have that node's replicas.
  const replicasOf = (home = system.databases[0]?.name) =>
    system.databases.find(({ name }) => name === home)?.options.replicas ?? 0;
  for (const { name, options } of system.topics) {
    const { partitions, home } = options;
    const limit = options.backlogMax?.messages ?? messagesIn(feedOf({ options })?.backlogBytesMax);
    const replicas = replicasOf(home?.name);
    parts.set(name, { kind: "topic", partitions, nodes: 1, replicas, ...(limit && { limit }) });
  }
  for (const { name, options } of system.queues) {
    const { home, maxLength: limit } = options;
    parts.set(name, { kind: "queue", nodes: 1, replicas: replicasOf(home?.name), limit });
  }
  for (const { name, options } of system.workers) {
    parts.set(name, { kind: "worker", instances: options.instances, from: options.from.name });
  }
  return parts;
}

/** The smallest change that a feed tells, in bytes: what names its table, key and place. */
const changeBytesMin = 100;

/** Most changes that may wait where their bytes are limited. */
function messagesIn(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.floor(bytes / changeBytesMin);
}

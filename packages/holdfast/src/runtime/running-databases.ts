/** The databases of a running system, as the supervisor tells them to verbs that work on their data. */
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import type { SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";

export interface RunningDatabase {
  readonly described: SystemDescription["databases"][number];
  readonly config: DatabaseConfig;
}

/** The topics and queues of a running system, for verbs that operate them. */
export type MessageParts = Pick<SystemDescription, "topics" | "queues">;

export type RunningDatabases = readonly RunningDatabase[];

export function runningDatabases(description: SystemDescription, world: WorldConfig): RunningDatabases {
  return description.databases.flatMap((described) => {
    const config = world.databases[described.name];
    return config ? [{ described, config }] : [];
  });
}

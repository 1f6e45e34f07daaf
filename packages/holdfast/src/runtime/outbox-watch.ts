/**
 * The supervisor's part in the outbox: it relays what no service or worker may (their roles may not read a source, or
 * write at a home), and looks how much waits, for `holdfast status` and for an alarm.
 */
import type { Clock, Timer } from "../clock/index.ts";
import { type DatabaseNodes, openDatabaseNodes, postgresTopic } from "../engines/postgres/index.ts";
import {
  type OutboxDatabase,
  type OutboxDestination,
  type SourceBacklog,
  startOutboxRelay,
} from "../engines/postgres/outbox/index.ts";
import { queueDestination } from "../engines/postgres/queue/queue-destination.ts";
import { redeclareQueue, redeclareTopic, type SystemDescription } from "./describe.ts";
import type { WorldConfig } from "./messages.ts";
import { overdueOutbox, overdueText } from "./outbox-late.ts";

/** Connections of the supervisor to each server for it. */
const poolSize = 2;
/** Pause between two looks, in milliseconds. */
const lookMs = 5_000;

export interface OutboxWatch {
  /** As it was at the last look. */
  status(): readonly SourceBacklog[];
  stop(): Promise<void>;
}

export interface OutboxWatchEnv {
  readonly clock: Clock;
  /** Told once of each destination for which something waits too long. */
  readonly warn: (text: string) => void;
}

export function watchOutbox(
  description: SystemDescription,
  world: WorldConfig,
  { clock, warn }: OutboxWatchEnv,
): OutboxWatch {
  const databases: OutboxDatabase[] = [];
  const nodesOf = new Map<string, DatabaseNodes>();
  for (const { name } of description.databases) {
    const config = world.databases[name];
    if (!config) continue;
    const nodes = openDatabaseNodes(config, { clock, applicationName: "holdfast outbox", poolSize });
    nodesOf.set(name, nodes);
    databases.push({ name, nodes });
  }
  const [first] = databases;
  const topics = description.topics.flatMap((described) => {
    const home = nodesOf.get(described.home ?? first?.name ?? "");
    return home ? [postgresTopic(redeclareTopic(described), home, clock)] : [];
  });
  const queues = description.queues.flatMap((described) => {
    const home = nodesOf.get(described.home ?? first?.name ?? "");
    return home ? [queueDestination(redeclareQueue(described), home, clock)] : [];
  });
  const destinations: OutboxDestination[] = [...topics.map((topic) => topic.destination), ...queues];
  const relay = startOutboxRelay({ databases, destinations, clock, reluctant: true });

  let last: readonly SourceBacklog[] = [];
  let told = new Set<string>();
  let stopped = false;
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  const look = async () => {
    last = await relay.backlogs();
    const late = new Map(overdueOutbox(last).map((one) => [overdueText(one, false), one]));
    for (const [name, one] of late) if (!told.has(name)) warn(overdueText(one, true));
    told = new Set(late.keys());
  };
  const rest = () => {
    timer = clock.timer(lookMs, () => {
      looking = look()
        .catch(() => {}) // looked at again in a moment
        .finally(() => {
          if (!stopped) rest();
        });
    });
  };
  if (destinations.length > 0) rest();
  return {
    status: () => last,
    async stop() {
      stopped = true;
      timer?.cancel();
      await Promise.all([looking, relay.stop()]);
      await Promise.all([...topics, ...queues].map((one) => one.close()));
      await Promise.all(databases.map(({ nodes }) => nodes.close()));
    },
  };
}

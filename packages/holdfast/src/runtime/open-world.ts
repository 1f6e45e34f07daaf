/**
 * Binding a system to its engines: from the declaration and a plain description of where things are, to a
 * world in which its handles work. Every process that runs a part opens one; two of them in one process share
 * nothing.
 */
import type { HoldfastError } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import { memoryCache } from "../engines/memory/cache.ts";
import { postgresInvalidationBus } from "../engines/postgres/bus.ts";
import { postgresDatabase } from "../engines/postgres/database.ts";
import { type DatabaseNodes, openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { type OutboxDestination, startOutboxRelay } from "../engines/postgres/outbox/index.ts";
import { type GuardedQueue, sweepJobGuards } from "../engines/postgres/queue/guard-sweep.ts";
import { postgresQueue } from "../engines/postgres/queue/queue.ts";
import { queueDestination } from "../engines/postgres/queue/queue-destination.ts";
import { schedulesByHome, startScheduler } from "../engines/postgres/schedule/index.ts";
import { postgresTopic } from "../engines/postgres/topic.ts";
import { developmentWatch } from "../engines/postgres/warnings/development-watch.ts";
import type { DevelopmentWarning } from "../engines/postgres/warnings/warning.ts";
import { type System, World } from "../parts/index.ts";
import { isQueueWorker } from "../parts/worker/index.ts";
import type { WorldConfig } from "./messages.ts";
import { watchInDoubt } from "./recovery-watch.ts";
import { pollShardMap } from "./shard-map-poll.ts";
import { keepUp, referenceMs } from "./upkeep.ts";

export interface OpenWorld {
  readonly world: World;
  /** Has what is still to be warned of told again. */
  warnAgain(): void;
  /** Ends waiting, listening and pooled connections. May be called twice. */
  close(): Promise<void>;
}

export interface WorldEnvironment {
  readonly clock: Clock;
  /** Shown by Postgres as the name of the connections, such as `shortener api-1`. */
  readonly applicationName: string;
  /** Told what development is to be warned of, where the world's configuration asks for it. */
  readonly warn?: (warning: DevelopmentWarning) => void;
}

/** Connects lazily: a world opens while its databases are away, and its calls say so. */
export function openWorld(system: System, config: WorldConfig, env: WorldEnvironment): OpenWorld {
  const { clock } = env;
  const world = new World(config.name, clock);
  const closers: (() => Promise<void> | void)[] = [];

  const watch = config.warnings && env.warn ? developmentWatch(clock, env.warn) : undefined;
  if (watch) closers.push(() => watch.close());

  const nodesOf = new Map<string, DatabaseNodes>();
  const guarded = new Map<string, GuardedQueue>();
  for (const database of system.databases) {
    const nodes = openDatabaseNodes(configured(config, database.name), {
      clock,
      applicationName: env.applicationName,
      poolSize: config.poolSize,
      ...(watch ? { watch } : {}),
    });
    nodesOf.set(database.name, nodes);
    const port = postgresDatabase(database, nodes, clock);
    closers.push(
      () => nodes.close(),
      keepUp(nodes, clock, {
        options: database.options,
        // Seen by logs: a value that two keys have is for people to decide.
        sweepLookups: () =>
          world.seam.operation("database", database.name, "lookup-sweep", undefined, () =>
            port.lookups.sweep(),
          ),
        sweepGuards:
          system.queues.length === 0
            ? undefined
            : () =>
                world.seam.operation("database", database.name, "guard-sweep", undefined, () =>
                  sweepJobGuards({ database: port, queues: guarded, nowMs: clock.wallMs() }),
                ),
        settleReference: () => port.reference.settle(referenceMs),
      }),
      pollShardMap(nodes, clock),
    );
    world.bind(database, port);
    if (database.options.replication.mode === "synchronous" && nodes.config.nodes.length > 1) {
      const alarm = (error: HoldfastError) => {
        const operation = world.seam.operation("database", database.name, "recover", undefined, async () => {
          throw error;
        });
        operation.catch(() => {}); // whoever listens has been told
      };
      closers.push(watchInDoubt({ database, nodes, clock, alarm }).stop);
    }
  }

  const [first] = system.databases;
  const home = first && nodesOf.get(first.name);
  const destinations: OutboxDestination[] = [];
  const homeOf = ({ kind, name, options }: System["topics"][number] | System["queues"][number]) => {
    const nodes = options.home ? nodesOf.get(options.home.name) : home;
    if (!nodes) throw new TypeError(`${kind} "${name}" has no home in the world "${config.name}"`);
    return nodes;
  };
  for (const topic of system.topics) {
    const nodes = homeOf(topic);
    const port = postgresTopic(topic, nodes, clock);
    closers.push(() => port.close());
    world.bind(topic, port);
    destinations.push(port.destination);
  }
  for (const queue of system.queues) {
    const nodes = homeOf(queue);
    const port = postgresQueue(queue, nodes, clock);
    const destination = queueDestination(queue, nodes, clock);
    closers.push(
      () => destination.close(),
      () => port.close(),
    );
    world.bind(queue, port);
    guarded.set(queue.name, { port, attemptMsMax: attemptMsMax(system, queue.name) });
    destinations.push(destination);
  }

  // A cache may be invalidated in a transaction of any database, so the bus reads them all.
  const bus =
    home && system.caches.length > 0 ? postgresInvalidationBus([...nodesOf.values()], clock) : undefined;
  if (bus) closers.push(() => bus.close());
  for (const cache of system.caches) {
    const port = memoryCache(cache, { bus, clock, seam: world.seam });
    closers.push(() => port.close());
    world.bind(cache, port);
  }

  const relay = startOutboxRelay({
    databases: [...nodesOf].map(([name, nodes]) => ({ name, nodes })),
    destinations,
    clock,
    // Seen by logs: what cannot be moved on waits, and somebody should know.
    report: ({ source, destination }, run) =>
      world.seam.operation(destination.kind, destination.name, "relay", undefined, run, { source }),
  });
  closers.push(() => relay.stop());

  for (const [nodes, schedules] of schedulesByHome(system.schedules, destinations)) {
    const scheduler = startScheduler({ home: nodes, schedules, clock, seam: world.seam });
    closers.push(() => scheduler.stop());
    for (const { schedule } of schedules) world.bind(schedule, scheduler.port(schedule.name));
  }

  let closing: Promise<void> | undefined;
  return {
    world,
    warnAgain: () => watch?.forget(),
    close() {
      closing ??= closeAll(closers);
      return closing;
    },
  };
}

/** The longest that an attempt of a job of the queue may take, whoever works for it. */
function attemptMsMax({ workers }: System, queue: string): number {
  const times = workers.flatMap((worker) =>
    isQueueWorker(worker) && worker.options.from.name === queue ? worker.options.timeoutMs : [],
  );
  return Math.max(0, ...times);
}

function configured(config: WorldConfig, name: string) {
  const found = config.databases[name];
  if (!found) throw new TypeError(`the world "${config.name}" says nowhere where database "${name}" is`);
  return found;
}

/** The last opened closes first, because it may use what was opened before. */
async function closeAll(closers: readonly (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of [...closers].reverse()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "a world did not close cleanly");
}

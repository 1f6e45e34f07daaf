/**
 * The embedded Postgres servers of a system, supervised: started together, restarted when one ends without
 * having been told to, stopped last.
 *
 * Nodes are shared by the database parts; each part has a Postgres database of its own name on each node. A
 * restarted server recovers its data and keeps its port, so nobody has to be told: pools connect again.
 */
import { join } from "node:path";
import type { Clock } from "../clock/index.ts";
import { finishSwap } from "../engines/postgres/backup/restore-swap.ts";
import type { DatabaseConfig } from "../engines/postgres/config.ts";
import {
  type RunningNode,
  type RunningServer,
  type ServerExit,
  type ServerId,
  startNode,
} from "../engines/postgres/embedded/index.ts";
import { readNodeRecord } from "../engines/postgres/embedded/node-record.ts";
import { openDatabaseNodes } from "../engines/postgres/nodes.ts";
import { readShardMap } from "../engines/postgres/shard-map-store.ts";
import { type PlacedMap, plainPlace } from "../engines/postgres/shard-place.ts";
import { firstShardMap } from "../placement/index.ts";
import type { SystemDescription } from "./describe.ts";
import { stepPrimaryLoss } from "./primary-loss-step.ts";
import { replicaLags } from "./replica-lag.ts";
import { nodeReplication } from "./replication-step.ts";
import { type ReplicationWatch, watchReplication } from "./replication-watch.ts";
import { initialRestartState, type RestartState, stepRestart } from "./restart-step.ts";
import type { FailoverStatus, ReplicationStatus, ServerStatus } from "./status.ts";

/** Connections that each embedded server accepts: an idle slot costs next to nothing. */
export const maxConnections = 200;

/** Pause between two looks at a primary, in milliseconds. */
const lookMs = 2_000;
/** Looks in a row that a primary may leave unanswered (each for up to five seconds) before it counts as dead. */
const looksMax = 3;

/** How long an immediate shutdown may take, in milliseconds: it has nothing to write. */
const quitMsMax = 5_000;

export interface PostgresNodesOptions {
  readonly databases: SystemDescription["databases"];
  /** Whether the log of databases is read by change feeds, which should go on behind a failover. Default false. */
  readonly changeFeeds?: boolean;
  /** Folder of the nodes' folders. */
  readonly dir: string;
  readonly clock: Clock;
  readonly progress: (text: string) => void;
  /** Asked right before a server is started again; after a no it stays down. */
  readonly mayRestart: () => boolean;
  /** A server ended without having been told to, or could not be started again. */
  readonly failed: (server: string, how: string, waitMs: number) => void;
  readonly restarted: (server: string, pid: number) => void;
  /** A replica has taken the place of a primary that could not come back. */
  readonly failedOver: (failover: FailoverStatus) => void;
  /** A node's commits began to wait for replicas that are away, to go without them, or are protected again. */
  readonly replicationChanged: (status: ReplicationStatus) => void;
}

/**
 * `clean`, or `at-once`: then they recover at the next start. `abandon` is at once too, and touches nothing but
 * its own processes: the folders may be another supervisor's by now.
 */
export type NodesStop = "clean" | "at-once" | "abandon";

export interface PostgresNodes {
  readonly nodes: readonly RunningNode[];
  /** Where `database` is, and its shards: as the map says that is kept beside the data, else dealt over its nodes. */
  config(database: SystemDescription["databases"][number]): DatabaseConfig;
  status(): Promise<ServerStatus[]>;
  replication(): ReplicationStatus[];
  /** Every promotion of the nodes, as far back as their records go. */
  failovers(): FailoverStatus[];
  /** Stops all servers. May be called again, to be less patient. */
  stop(how: NodesStop): Promise<void>;
}

/** @throws {HoldfastError} HOLDFAST_POSTGRES_* and HOLDFAST_DISK_FULL; then none of the servers runs */
export async function startPostgresNodes(options: PostgresNodesOptions): Promise<PostgresNodes> {
  const { databases, clock } = options;
  if (await finishSwap(options.dir)) options.progress("Going on with a restore that was interrupted");
  // Also nodes that were declared before: shards may be on them, until `holdfast reshard` has moved them away.
  const declared = Math.max(0, ...databases.map(({ nodes }) => nodes));
  const count = declared === 0 ? 0 : Math.max(declared, await nodesMade(options.dir));
  const replicas = Math.max(0, ...databases.map((database) => database.replicas));
  const starting = await Promise.allSettled(
    Array.from({ length: count }, async (_, index) => {
      const name = `node-${index + 1}`;
      const node = await startNode({
        name,
        dir: join(options.dir, name),
        replicas,
        syncSlots: options.changeFeeds ?? false,
        maxConnections,
        clock,
        onProgress: options.progress,
      });
      return node;
    }),
  );
  const nodes = starting.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const failure = starting.find((start) => start.status === "rejected");
  const stopNodes = () => Promise.all(nodes.map((node) => node.stop()));
  const stopping = new AbortController();
  const watches: ReplicationWatch[] = [];
  const maps = new Map<string, PlacedMap>();
  const isUsed = (node: RunningNode, index: number, database: SystemDescription["databases"][number]) =>
    index < database.nodes || maps.get(database.name)?.places.some((place) => place.node === node.name);
  try {
    if (failure) throw failure.reason;
    for (const database of databases) {
      await Promise.all(nodes.map((node) => node.createDatabase(database.name)));
      const map = await durableMap(nodes, database.name, clock);
      if (map) maps.set(database.name, map);
    }
    for (const [index, node] of nodes.entries()) {
      const own = databases.filter((database) => isUsed(node, index, database));
      const policy = nodeReplication(own.map((database) => database.replication));
      if (policy.quorum === 0) continue;
      for (const { name, replication } of own) await node.setWaits(name, replication.mode === "synchronous");
      const { replicationChanged: changed, progress } = options;
      watches.push(await watchReplication({ node, policy, clock, changed, progress, stop: stopping.signal }));
    }
  } catch (error) {
    stopping.abort();
    await stopNodes();
    throw error;
  }
  const servers = nodes.flatMap((node) => [
    new SupervisedServer(node, "primary", options, stopping.signal),
    ...node.replicas.map((_, index) => new SupervisedServer(node, index, options, stopping.signal)),
  ]);
  return {
    nodes,
    config: (database) => {
      const map = maps.get(database.name);
      const used = nodes.filter((node, index) => isUsed(node, index, database));
      return {
        nodes: used.map((node) => {
          const endpoints = node.endpoints(database.name);
          return { ...endpoints, replicas: endpoints.replicas.slice(0, database.replicas) };
        }),
        // Where data is that is there already; a new database begins as it is declared.
        shardMap: map
          ? { epoch: map.epoch, shards: map.places.map((place) => place.node) }
          : firstShardMap(
              database.strategy,
              nodes.slice(0, database.nodes).map((node) => node.name),
              database.shardCount,
            ),
        ...(map && { places: map.places.map(plainPlace) }),
      };
    },
    failovers: () =>
      nodes.flatMap((node) => node.failovers.map((failover) => ({ node: node.name, ...failover }))),
    replication: () => watches.map((watch) => watch.status()),
    async status() {
      const lags = new Map(
        await Promise.all(nodes.map(async (node) => [node.name, await replicaLags(node, clock)] as const)),
      );
      return servers.map((server) => server.status(lags.get(server.node) ?? new Map()));
    },
    async stop(how) {
      stopping.abort();
      if (how === "abandon") {
        await Promise.all(servers.map((server) => server.abandon()));
        return;
      }
      if (how === "at-once") {
        for (const node of nodes)
          for (const server of [...node.replicas, node.primary]) server.kill("SIGQUIT");
      }
      await stopNodes();
    },
  };
}

/** How many nodes this system has had: their folders are numbered without gaps. */
async function nodesMade(dir: string): Promise<number> {
  for (let made = 0; ; made++) {
    if (!(await readNodeRecord(join(dir, `node-${made + 1}`)))) return made;
  }
}

/** The map that is kept on the home node, if the database has one yet. */
async function durableMap(
  nodes: readonly RunningNode[],
  database: string,
  clock: Clock,
): Promise<PlacedMap | undefined> {
  const [home] = nodes;
  if (!home) return undefined;
  const shardMap = { epoch: 1, shards: [] };
  const opened = openDatabaseNodes(
    { nodes: [home.endpoints(database)], shardMap },
    { clock, applicationName: "holdfast up", poolSize: 1 },
  );
  try {
    return await opened.primary(home.name).use(readShardMap);
  } finally {
    await opened.close();
  }
}

class SupervisedServer {
  readonly name: string;
  readonly node: string;
  readonly #node: RunningNode;
  readonly #id: ServerId;
  readonly #options: PostgresNodesOptions;
  readonly #stopping: AbortSignal;
  #state: ServerStatus["state"] = "ready";
  #restarts = 0;
  #restart: RestartState = initialRestartState;
  #readyAtMs: number;
  #lastError: string | undefined;
  /** Why it was killed, if it was. */
  #killedFor: string | undefined;
  /** Settled when it is not being started again. Never rejects. */
  #recovery: Promise<void> = Promise.resolve();

  constructor(node: RunningNode, id: ServerId, options: PostgresNodesOptions, stopping: AbortSignal) {
    this.#node = node;
    this.#id = id;
    this.#options = options;
    this.#stopping = stopping;
    this.node = node.name;
    this.name = this.#server().name;
    this.#readyAtMs = options.clock.monotonicMs();
    this.#watch();
    if (id === "primary") void this.#lookAfter();
  }

  status(lags: ReadonlyMap<string, number>): ServerStatus {
    const { role, port, pid } = this.#server();
    const stopped = this.#stopping.aborted ? "stopped" : this.#state;
    return {
      name: this.name,
      node: this.node,
      role,
      state: stopped,
      pid: stopped === "ready" ? pid : undefined,
      port,
      restarts: this.#restarts,
      lagBytes: role === "replica" ? lags.get(this.name.slice(this.node.length + 1)) : undefined,
      lastError: this.#lastError,
    };
  }

  /** Ends its process, one that is just being started as well. */
  async abandon(): Promise<void> {
    await this.#recovery;
    const server = this.#server();
    server.kill("SIGQUIT");
    const patience = this.#options.clock.timer(quitMsMax, () => server.kill("SIGKILL"), { ref: true });
    await server.exited;
    patience.cancel();
  }

  #server(): RunningServer {
    const server = this.#id === "primary" ? this.#node.primary : this.#node.replicas[this.#id];
    if (!server) throw new RangeError(`node ${this.#node.name} has no replica ${this.#id}`);
    return server;
  }

  #watch(): void {
    void this.#server().exited.then((exit) => {
      if (!this.#stopping.aborted) this.#recovery = this.#again(this.#killedFor ?? words(exit));
      this.#killedFor = undefined;
    });
  }

  /** A primary that is paused, or whose data is taken away under it, does not end by itself: it is killed. */
  async #lookAfter(): Promise<void> {
    const { clock } = this.#options;
    let unanswered = 0;
    while (!this.#stopping.aborted) {
      await clock.sleep(lookMs, this.#stopping).catch(() => {});
      if (this.#stopping.aborted || this.#state !== "ready") continue;
      const answered = await this.#node.checkPrimary().then(
        () => true,
        () => false,
      );
      unanswered = answered ? 0 : unanswered + 1;
      const hasData = await this.#node.hasPrimaryData();
      if ((unanswered < looksMax && hasData) || this.#state !== "ready" || this.#stopping.aborted) continue;
      unanswered = 0;
      this.#killedFor = hasData ? "it did not answer, and was killed" : "its data is gone";
      await this.#node.killPrimary();
    }
  }

  /** Starts it again until it runs: a database that is given up helps nobody. */
  async #again(how: string): Promise<void> {
    const { clock } = this.#options;
    let readyForMs: number | undefined = clock.monotonicMs() - this.#readyAtMs;
    let failedStarts = 0;
    for (let reason = how; ; readyForMs = undefined, failedStarts++) {
      const end = { atMs: clock.monotonicMs(), readyForMs };
      const { state, delayMs } = stepRestart(this.#restart, end, clock.random);
      this.#restart = state;
      this.#state = "restarting";
      this.#lastError = reason;
      this.#options.failed(this.name, reason, delayMs);
      try {
        await clock.sleep(delayMs, this.#stopping);
        if (!this.#options.mayRestart()) return;
        const server = await this.#comeBack(failedStarts);
        this.#restarts++;
        this.#state = "ready";
        this.#readyAtMs = clock.monotonicMs();
        this.#options.restarted(this.name, server.pid);
        this.#watch();
        return;
      } catch (error) {
        if (this.#stopping.aborted) return;
        reason = (error as Error).message;
      }
    }
  }

  /** Starts the server again, or has a replica take its place. */
  async #comeBack(failedStarts: number): Promise<RunningServer> {
    const node = this.#node;
    if (this.#id === "primary") {
      const loss = { hasData: await node.hasPrimaryData(), failedStarts, replicas: node.replicas.length };
      if (stepPrimaryLoss(loss) === "promote") {
        const failover = await node.failOver();
        this.#options.failedOver({ node: node.name, ...failover });
        return node.primary;
      }
    }
    return node.restartServer(this.#id);
  }
}

function words({ code, signal }: ServerExit): string {
  return signal ?? `exit code ${code}`;
}

/**
 * The servers behind a database part: for each node one pool to its primary and one to each replica.
 */
import type { Clock } from "../../clock/index.ts";
import type { DatabaseConfig, HostsDatabaseConfig, PostgresEndpoint, PostgresNodeConfig } from "./config.ts";
import { resolveNodes } from "./hosts-check.ts";
import { type HostsStatus, HostsWatch, hostsLookMsDefault } from "./hosts-watch.ts";
import { LagWatch } from "./lag-watch.ts";
import { NodePool } from "./pool.ts";
import { QuorumProof } from "./quorum-proof.ts";
import { ReplayWatch } from "./replay-watch.ts";
import type { TokenCounts } from "./session-review.ts";
import { ShardMapWatch } from "./shard-map-watch.ts";
import { firstPlaces, placeFrom } from "./shard-place.ts";
import { TimelineHistories } from "./timeline-history.ts";
import type { StatementWatch } from "./warnings/statement-watch.ts";

export interface DatabaseNodesEnv {
  readonly clock: Clock;
  /** Shown in `pg_stat_activity`, at most 63 bytes. */
  readonly applicationName: string;
  /** Most connections to each server. Default 10. */
  readonly poolSize?: number;
  /** Most operations that wait for a connection to each server. Default 32 for each connection. */
  readonly queueMax?: number;
  /** Whether statements that come again are prepared, 128 a connection at most. Default true. */
  readonly prepare?: boolean;
  /** Told of every statement and key, for development. Default: nobody, at no cost. @see developmentWatch */
  readonly watch?: StatementWatch;
  /**
   * Pause between two looks at the hosts of a node that is given by them, when all is well, in milliseconds. Default
   * 5_000; trouble is looked at at once. A deposed primary that nothing is heard of but by looking is asked for so long.
   */
  readonly hostsLookMs?: number;
  /** Told when a host of a node has another role than before; of nodes that are given by their hosts. */
  readonly hostsChanged?: (status: HostsStatus) => void;
}

/** What is learned of a node's servers as they are used. */
export interface NodeWatch {
  readonly histories: TimelineHistories;
  readonly replay: ReplayWatch;
  readonly lags: LagWatch;
  /** @param mayDegrade whether the database was declared to go without its quorum rather than wait */
  quorum(mayDegrade: boolean): QuorumProof;
}

export interface DatabaseNodes {
  readonly config: DatabaseConfig;
  readonly clock: Clock;
  /** Name of the first node: the home of whatever keeps its log or bus in this database. */
  readonly home: string;
  /** Who is told of statements and keys, while a system is developed. */
  readonly told: StatementWatch | undefined;
  /** Where the shards are now, as far as this process knows. */
  readonly map: ShardMapWatch;
  primary(node: string): NodePool;
  /** The node's first replica, if it has any. */
  replica(node: string): NodePool | undefined;
  /** As they are now: of a node that is given by its hosts they change. */
  replicas(node: string): readonly NodePool[];
  /** Resolves when it is known which server of the node is what; `undefined` when that is configured. */
  located(node: string): Promise<void> | undefined;
  /** What the hosts of each node that is given by them said last. */
  hosts(): readonly HostsStatus[];
  watch(node: string): NodeWatch;
  /** How often what sessions knew did not fit the servers, since these nodes were opened. */
  readonly tokenCounts: Readonly<TokenCounts>;
  /** Closes every pool: refuses what comes, lets what is under way end. May be called again. */
  close(): Promise<void>;
}

/**
 * Opens nothing yet: connections are made when first needed.
 *
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when a node's servers are not given as they have to be; it tells all
 */
export function openDatabaseNodes(
  given: DatabaseConfig | HostsDatabaseConfig,
  env: DatabaseNodesEnv,
): DatabaseNodes {
  const { hostsLookMs = hostsLookMsDefault } = env;
  if (!(hostsLookMs >= 50 && hostsLookMs <= 600_000))
    throw new RangeError(`hostsLookMs should be from 50 to 600_000 milliseconds, got ${hostsLookMs}`);
  const config: DatabaseConfig = { ...given, nodes: resolveNodes(given.nodes) };
  const home = config.nodes[0]?.name;
  if (home === undefined) throw new RangeError("a database needs at least one node");
  const nodes = new Map(config.nodes.map((node) => [node.name, openNode(node, env)]));
  const node = (name: string) => {
    const found = nodes.get(name);
    if (!found)
      throw new RangeError(`there is no node "${name}": the shard map names one that is not configured`);
    return found;
  };
  for (const name of config.shardMap.shards) node(name);
  const { shardMap, places } = config;
  const known = places ? { epoch: shardMap.epoch, places: places.map(placeFrom) } : firstPlaces(shardMap);
  return {
    config,
    clock: env.clock,
    home,
    told: env.watch,
    map: new ShardMapWatch(node(home).primary, known, env.clock),
    primary: (name) => {
      const { primary, hosts } = node(name);
      void hosts?.locate();
      return primary;
    },
    replica: (name) => node(name).replicas()[0],
    replicas: (name) => node(name).replicas(),
    located: (name) => node(name).hosts?.locate(),
    hosts: () => [...nodes.values()].flatMap(({ hosts }) => (hosts ? [hosts.status] : [])),
    watch: (name) => node(name).watch,
    tokenCounts: { foreign: 0, future: 0, lost: 0 },
    close: async () => {
      await Promise.all([...nodes.values()].map((one) => one.close()));
    },
  };
}

function openNode(
  { name, primary: at, replicas: fixed, hosts: given }: PostgresNodeConfig,
  env: DatabaseNodesEnv,
) {
  const {
    clock,
    applicationName,
    poolSize,
    queueMax,
    prepare,
    hostsLookMs = hostsLookMsDefault,
    hostsChanged,
  } = env;
  const pool = (role: "primary" | "replica", endpoint: PostgresEndpoint) =>
    new NodePool(
      {
        node: name,
        role,
        endpoint,
        applicationName,
        onTrouble: (timeline) => hosts?.suspect(timeline),
        ...(poolSize === undefined ? {} : { size: poolSize }),
        ...(queueMax === undefined ? {} : { queueMax }),
        ...(prepare === undefined ? {} : { prepare }),
      },
      clock,
    );
  const primary = pool("primary", at);
  const histories = new TimelineHistories(clock);
  const openReplica = (endpoint: PostgresEndpoint) => pool("replica", endpoint);
  const hosts: HostsWatch | undefined =
    given &&
    new HostsWatch({
      node: name,
      hosts: given,
      primary,
      openReplica,
      histories,
      clock,
      lookMs: hostsLookMs,
      ...(hostsChanged ? { changed: hostsChanged } : {}),
    });
  const pools = hosts ? [] : fixed.map(openReplica);
  const replicas = () => hosts?.replicas ?? pools;
  let quorum: QuorumProof | undefined;
  const watch: NodeWatch = {
    histories,
    replay: new ReplayWatch(clock),
    lags: new LagWatch(clock, primary, replicas),
    quorum: (mayDegrade) => {
      quorum ??= new QuorumProof(primary, clock, mayDegrade);
      return quorum;
    },
  };
  const close = () => Promise.all([hosts?.close(), primary.close(), ...pools.map((one) => one.close())]);
  return { primary, replicas, watch, hosts, close };
}

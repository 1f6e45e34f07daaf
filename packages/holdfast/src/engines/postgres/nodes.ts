/**
 * The servers behind a database part: for each node one pool to its primary and one to each replica.
 */
import type { Clock } from "../../clock/index.ts";
import type { DatabaseConfig } from "./config.ts";
import { LagWatch } from "./lag-watch.ts";
import { NodePool } from "./pool.ts";
import { QuorumProof } from "./quorum-proof.ts";
import { ReplayWatch } from "./replay-watch.ts";
import type { TokenCounts } from "./session-review.ts";
import { TimelineHistories } from "./timeline-history.ts";

export interface DatabaseNodesEnv {
  readonly clock: Clock;
  /** Shown in `pg_stat_activity`, at most 63 bytes. */
  readonly applicationName: string;
  /** Most connections to each server. Default 10. */
  readonly poolSize?: number;
  /** Most operations that wait for a connection to each server. Default 32 for each connection. */
  readonly queueMax?: number;
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
  primary(node: string): NodePool;
  /** The node's first replica, if it has any. */
  replica(node: string): NodePool | undefined;
  replicas(node: string): readonly NodePool[];
  watch(node: string): NodeWatch;
  /** How often what sessions knew did not fit the servers, since these nodes were opened. */
  readonly tokenCounts: Readonly<TokenCounts>;
  /** Closes every pool: refuses what comes, lets what is under way end. May be called again. */
  close(): Promise<void>;
}

/** Opens nothing yet: connections are made when first needed. */
export function openDatabaseNodes(config: DatabaseConfig, env: DatabaseNodesEnv): DatabaseNodes {
  const home = config.nodes[0]?.name;
  if (home === undefined) throw new RangeError("a database needs at least one node");
  const pool = (node: string, role: "primary" | "replica", endpoint: NodePool["endpoint"]) =>
    new NodePool(
      {
        node,
        role,
        endpoint,
        applicationName: env.applicationName,
        ...(env.poolSize === undefined ? {} : { size: env.poolSize }),
        ...(env.queueMax === undefined ? {} : { queueMax: env.queueMax }),
      },
      env.clock,
    );
  const nodes = new Map(
    config.nodes.map((node) => {
      const primary = pool(node.name, "primary", node.primary);
      const replicas = node.replicas.map((endpoint) => pool(node.name, "replica", endpoint));
      let quorum: QuorumProof | undefined;
      const watch: NodeWatch = {
        histories: new TimelineHistories(env.clock),
        replay: new ReplayWatch(env.clock),
        lags: new LagWatch(env.clock, primary, replicas),
        quorum: (mayDegrade) => {
          quorum ??= new QuorumProof(primary, env.clock, mayDegrade);
          return quorum;
        },
      };
      return [node.name, { primary, replicas, watch }];
    }),
  );
  const node = (name: string) => {
    const found = nodes.get(name);
    if (!found)
      throw new RangeError(`there is no node "${name}": the shard map names one that is not configured`);
    return found;
  };
  for (const name of config.shardMap.shards) node(name);
  return {
    config,
    clock: env.clock,
    home,
    primary: (name) => node(name).primary,
    replica: (name) => node(name).replicas[0],
    replicas: (name) => node(name).replicas,
    watch: (name) => node(name).watch,
    tokenCounts: { foreign: 0, future: 0, lost: 0 },
    close: async () => {
      await Promise.all([...nodes.values()].flatMap((n) => [n.primary, ...n.replicas].map((p) => p.close())));
    },
  };
}

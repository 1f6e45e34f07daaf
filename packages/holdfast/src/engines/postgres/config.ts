/**
 * Where a database part's shards are, as plain data: what the runtime hands to every process that binds it.
 */
import type { ShardMap } from "../../placement/index.ts";
import type { PlainPlace } from "./shard-place.ts";

export type { ShardMap };

export interface PostgresEndpoint {
  /** Host name, address, or the directory of a Unix socket. A name is resolved anew at each connect. */
  readonly host: string;
  readonly port: number;
  /** The Postgres database on that server that belongs to the part. */
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /**
   * Says that a pooler stands between, and that it keeps a server for each client until that disconnects. Leave it
   * out when nothing stands between. A pooler that is not declared, or in another mode, is refused at connect.
   */
  readonly pooler?: "session";
}

export interface PostgresNodeConfig {
  readonly name: string;
  readonly primary: PostgresEndpoint;
  readonly replicas: readonly PostgresEndpoint[];
  /** All servers of the node when their roles are found by asking: then the two above are a guess until asked. */
  readonly hosts?: readonly PostgresEndpoint[];
}

/** A node whose servers change roles by another's hand: Patroni, a managed service. */
export interface HostsNodeConfig {
  readonly name: string;
  /** Every server of the node, in any order. Which takes writes is found by asking. */
  readonly hosts: readonly PostgresEndpoint[];
}

export interface DatabaseConfig {
  /** At least one. The first is the home of whatever keeps its log or bus in this database. */
  readonly nodes: readonly PostgresNodeConfig[];
  /** Where shards are made that are nowhere yet. Once there is data, the map that is kept beside it wins. */
  readonly shardMap: ShardMap;
  /** Where each shard is, as of `shardMap.epoch`, when some have moved. */
  readonly places?: readonly PlainPlace[];
}

/** As `DatabaseConfig`, with nodes that may name their hosts instead of a primary and its replicas. */
export interface HostsDatabaseConfig {
  readonly nodes: readonly (PostgresNodeConfig | HostsNodeConfig)[];
  readonly shardMap: ShardMap;
}

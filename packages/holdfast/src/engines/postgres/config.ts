/**
 * Where a database part's shards are, as plain data: what the runtime hands to every process that binds it.
 */
import type { ShardMap } from "../../placement/index.ts";
import type { PlainPlace } from "./shard-place.ts";

export type { ShardMap };

export interface PostgresEndpoint {
  /** Host name, address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** The Postgres database on that server that belongs to the part. */
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

export interface PostgresNodeConfig {
  readonly name: string;
  readonly primary: PostgresEndpoint;
  readonly replicas: readonly PostgresEndpoint[];
}

export interface DatabaseConfig {
  /** At least one. The first is the home of whatever keeps its log or bus in this database. */
  readonly nodes: readonly PostgresNodeConfig[];
  /** Where shards are made that are nowhere yet. Once there is data, the map that is kept beside it wins. */
  readonly shardMap: ShardMap;
  /** Where each shard is, as of `shardMap.epoch`, when some have moved. */
  readonly places?: readonly PlainPlace[];
}

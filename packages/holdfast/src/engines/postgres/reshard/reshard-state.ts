/** What there is to tell of a database's shards: where they are, and which moves are not over. */
import type { DatabaseNodes } from "../nodes.ts";
import type { Patience } from "../pool-lease.ts";
import { readShardMap } from "../shard-map-store.ts";
import { type MoveRecord, openMoves } from "./move-record.ts";

/** Held by the process that moves shards of a database; "holdfast" in ASCII, and the third lock of that name. */
export const reshardLock = "7525352680829580150";

export interface ShardsState {
  readonly epoch: number;
  /** The shards of each node, rising; nodes without any have none. */
  readonly nodes: Readonly<Record<string, readonly number[]>>;
  readonly moves: readonly MoveRecord[];
  /** Whether a process moves shards now. */
  readonly worked: boolean;
}

/** Asks the home node. @throws {HoldfastError} when it does not answer */
export function readShards(nodes: DatabaseNodes, patience?: Patience): Promise<ShardsState> {
  return nodes.primary(nodes.home).use(async (home) => {
    const map = (await readShardMap(home)) ?? nodes.map.current;
    const moves = await openMoves(home);
    const { rowCount } = await home.send({
      text: `select from pg_locks where locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = ${reshardLock}`,
    });
    const names = nodes.config.nodes.map(({ name }) => name);
    const shardsOf = (node: string) =>
      map.places.flatMap((place, shard) => (place.node === node ? [shard] : []));
    return {
      epoch: map.epoch,
      nodes: Object.fromEntries(names.map((node) => [node, shardsOf(node)])),
      moves,
      worked: (rowCount ?? 0) > 0,
    };
  }, patience);
}

/** Asks each database where its shards are, for `holdfast status`, and says it when a move stands still. */
import type { Clock } from "../clock/index.ts";
import {
  type DatabaseNodes,
  openDatabaseNodes,
  readShards,
  type ShardsState,
} from "../engines/postgres/index.ts";
import type { RunningDatabases } from "./running-databases.ts";
import type { ShardsStatus } from "./status.ts";

/** How long a home node may take to answer, in milliseconds: a status does not wait for a server that is away. */
const answerMsMax = 1_000;

export interface ShardStatusReader {
  read(): Promise<ShardsStatus[]>;
  close(): Promise<void>;
}

export function shardStatusReader(databases: RunningDatabases, clock: Clock): ShardStatusReader {
  const opened = databases.map(({ described, config }) => ({
    name: described.name,
    nodes: openDatabaseNodes(config, { clock, applicationName: "holdfast status", poolSize: 1 }),
  }));
  return {
    async read() {
      const all = await Promise.all(opened.map(({ name, nodes }) => statusOf(name, nodes, clock)));
      return all.filter(({ nodes, moves }) => Object.keys(nodes).length > 1 || moves.length > 0);
    },
    async close() {
      await Promise.all(opened.map(({ nodes }) => nodes.close()));
    },
  };
}

async function statusOf(database: string, nodes: DatabaseNodes, clock: Clock): Promise<ShardsStatus> {
  let state: ShardsState;
  try {
    const untilMs = clock.monotonicMs() + answerMsMax;
    state = await readShards(nodes, { untilMs, call: undefined });
  } catch {
    const names = nodes.config.nodes.map(({ name }) => name);
    return {
      database,
      epoch: undefined,
      nodes: Object.fromEntries(names.map((name) => [name, nodes.map.shardsOn(name)])),
      moves: [],
    };
  }
  return {
    database,
    epoch: state.epoch,
    nodes: state.nodes,
    moves: state.moves.map((move) => ({
      id: move.id,
      shard: move.shard,
      source: move.source,
      target: move.target,
      state: move.state === "kept" ? "kept" : state.worked ? "moving" : "stopped",
      step: move.step,
      intent: move.intent,
      startedAt: move.startedAt,
      changedAt: move.changedAt,
      error: move.data.error,
    })),
  };
}

/**
 * How many Postgres connections each process may hold: the sum over all processes has to fit into
 * `max_connections`, or the last process to start is refused in the middle of its work.
 */
import { HoldfastError } from "../call/index.ts";

export interface ConnectionDemand {
  /** `max_connections` of each server. */
  readonly maxConnections: number;
  /** Processes with pools at one time, those that overlap during a rolling restart included. */
  readonly processes: number;
  /** Database parts that live on one server: each process has a pool for each. */
  readonly databases: number;
  /** Long-lived connections of a process beside its pools: the listeners of topics and of the bus. */
  readonly listeners: number;
}

export interface ConnectionBudget {
  /** Connections of one pool: one process, one database part, one server. */
  readonly poolSize: number;
  /** The most connections that one server can see. */
  readonly total: number;
}

/** More than this per pool brings no throughput on one machine, only more backends. */
export const poolSizeMax = 10;
/** Below this, one slow query starves a process. */
export const poolSizeMin = 2;
/** Kept free: superuser slots, the supervisor's own (migrations, status), replication, a person with psql. */
export const reservedConnections = 15;

/** @throws {HoldfastError} HOLDFAST_CONNECTION_BUDGET when not even the smallest pools fit */
export function connectionBudget(demand: ConnectionDemand): ConnectionBudget {
  const { maxConnections, processes, databases, listeners } = demand;
  if (databases === 0 || processes === 0) return { poolSize: poolSizeMax, total: reservedConnections };
  const forPools = maxConnections - reservedConnections - processes * listeners;
  const fits = Math.floor(forPools / (processes * databases));
  const poolSize = Math.min(poolSizeMax, fits);
  const total = (size: number) => reservedConnections + processes * (listeners + databases * size);
  if (poolSize < poolSizeMin) {
    const needed = total(poolSizeMin);
    throw new HoldfastError(
      "HOLDFAST_CONNECTION_BUDGET",
      `${processes} processes with ${databases} ${databases === 1 ? "database" : "databases"} need at least ${needed} Postgres connections, but each server allows ${maxConnections}. Declare fewer instances.`,
      { data: { needed, maxConnections, processes, databases } },
    );
  }
  return { poolSize, total: total(poolSize) };
}

/**
 * What one instance or node can do, each figure with its bounds, its unit and where it is from. A plan is made with
 * one table: the shipped one, in which a profile of this machine replaces the figures that it has measured.
 */
import type { Unit } from "../format.ts";
import type { Interval } from "../models/interval.ts";

/**
 * Every figure that a plan may ask for: the kind of part (or `network`, `disk`, `region`) and what it is. A figure a
 * second is what one instance (one core) or one node takes at most, not what it should be run at.
 */
export const capacityIds = [
  // Processes with one thread: one instance is one core. `ms` is the time on an idle one, without what it calls.
  "gateway.requests",
  "gateway.ms",
  "gateway.connections",
  "gateway.availability",
  "gateway.recovery",
  "service.requests",
  "service.ms",
  "service.availability",
  "service.recovery",
  "worker.messages",
  "worker.ms",
  "worker.availability",
  "worker.recovery",
  // One Postgres server on a node of `node.cores`.
  "database.reads",
  "database.writes",
  "database.read-ms",
  "database.write-ms",
  "database.bytes",
  "database.connections",
  "database.connection-memory",
  "database.availability",
  "database.recovery",
  // A cache within the process, and one behind the network (Valkey, Redis).
  "cache.hits",
  "cache.ms",
  "cache.bytes",
  "cache-server.operations",
  "cache-server.ms",
  "cache-server.bytes",
  "cache.availability",
  "cache.recovery",
  "topic.writes",
  "topic.reads",
  "topic.ms",
  "topic.bytes",
  "topic.availability",
  "topic.recovery",
  "queue.writes",
  "queue.reads",
  "queue.ms",
  "queue.bytes",
  "queue.availability",
  "queue.recovery",
  "search.reads",
  "search.writes",
  "search.ms",
  "search.bytes",
  "search.availability",
  "search.recovery",
  // For each prefix of keys; the store itself is not limited by us.
  "bucket.reads",
  "bucket.writes",
  "bucket.ms",
  "bucket.availability",
  "cdn.ms",
  "cdn.availability",
  "external.ms",
  "external.availability",
  "node.cores",
  "node.memory",
  "network.bytes",
  "network.zone-ms",
  "network.region-ms",
  "disk.operations",
  "disk.bytes",
  "region.availability",
] as const;

export type CapacityId = (typeof capacityIds)[number];

export interface Capacity extends Interval {
  readonly id: CapacityId;
  /** Of what: one line for people. */
  readonly title: string;
  readonly unit: Unit;
  /** Where the figure is from. */
  readonly source: string;
  /** Whether this machine was measured, or the figure came with the planner. */
  readonly origin: "measured" | "shipped";
}

export interface CapacityTable {
  /** What a report says of the table as a whole. */
  readonly title: string;
  readonly capacities: Readonly<Record<CapacityId, Capacity>>;
}

/** Why a figure makes no sense, if it does not: nothing is planned with it then. */
export function capacityProblem({ id, low, mid, high, unit }: Capacity): string | undefined {
  if (!(low > 0 && low <= mid && mid <= high && Number.isFinite(high)))
    return `${id} should have 0 < low ≤ mid ≤ high, got ${low}, ${mid}, ${high}`;
  if (unit === "ratio" && !(high < 1)) return `${id} is a share and should be below 1, got ${high}`;
  return undefined;
}

/** @throws {RangeError} with every figure that makes no sense */
export function checkCapacities(table: CapacityTable): CapacityTable {
  const problems = Object.values(table.capacities).flatMap((one) => capacityProblem(one) ?? []);
  if (problems.length > 0) throw new RangeError(problems.join("; "));
  return table;
}

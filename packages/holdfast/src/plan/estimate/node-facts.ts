/** What one instance or node of a part can do: from the table of capacities, or as the requirements have it. */
import type { CapacityId, CapacityTable } from "../capacity/capacity.ts";
import { divide, exactly, type Interval } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";

export interface NodeFacts {
  /** Calls a second that one instance or node takes at most. `undefined`: not limited by us (a CDN, a third party). */
  readonly readsPerSecond: Interval | undefined;
  readonly writesPerSecond: Interval | undefined;
  /** Time of one call on an idle node, in milliseconds. */
  readonly readMs: Interval;
  readonly writeMs: Interval;
  /** Bytes a second that one node sends. */
  readonly networkBytes: Interval;
  /** Bytes that one node keeps well. */
  readonly bytes: Interval | undefined;
  /** Connections that one node accepts. */
  readonly connections: number | undefined;
  /** Share of the time that one of it is up. */
  readonly availability: Interval;
  /** Time until another has taken over, in milliseconds. `undefined`: it is not ours to recover. */
  readonly recoveryMs: Interval | undefined;
}

/** Ids of the table by kind of part: reads, writes, milliseconds of a read and a write, bytes. */
interface KindIds {
  readonly reads?: CapacityId;
  readonly writes?: CapacityId;
  readonly readMs: CapacityId;
  readonly writeMs: CapacityId;
  readonly bytes?: CapacityId;
  readonly connections?: CapacityId;
  readonly availability: CapacityId;
  readonly recovery?: CapacityId;
}

const process = (kind: "gateway" | "service" | "worker"): KindIds => {
  const rate = kind === "worker" ? "worker.messages" : (`${kind}.requests` as const);
  return {
    reads: rate,
    writes: rate,
    readMs: `${kind}.ms`,
    writeMs: `${kind}.ms`,
    availability: `${kind}.availability`,
    recovery: `${kind}.recovery`,
  };
};
const log = (kind: "topic" | "queue" | "search"): KindIds => ({
  reads: `${kind}.reads`,
  writes: `${kind}.writes`,
  readMs: `${kind}.ms`,
  writeMs: `${kind}.ms`,
  bytes: `${kind}.bytes`,
  availability: `${kind}.availability`,
  recovery: `${kind}.recovery`,
});

const kinds: Readonly<Record<Exclude<ResolvedPart["kind"], "cache">, KindIds>> = {
  gateway: { ...process("gateway"), connections: "gateway.connections" },
  service: process("service"),
  worker: process("worker"),
  database: {
    reads: "database.reads",
    writes: "database.writes",
    readMs: "database.read-ms",
    writeMs: "database.write-ms",
    bytes: "database.bytes",
    connections: "database.connections",
    availability: "database.availability",
    recovery: "database.recovery",
  },
  topic: log("topic"),
  queue: log("queue"),
  search: log("search"),
  bucket: { readMs: "bucket.ms", writeMs: "bucket.ms", availability: "bucket.availability" },
  cdn: { readMs: "cdn.ms", writeMs: "cdn.ms", availability: "cdn.availability" },
  external: { readMs: "external.ms", writeMs: "external.ms", availability: "external.availability" },
};

/** A cache that the system's code declares lives in each process; a planned one stands behind the network. */
function idsOf({ kind, inCode }: ResolvedPart): KindIds {
  if (kind !== "cache") return kinds[kind];
  const shared = { availability: "cache.availability", recovery: "cache.recovery" } as const;
  if (inCode) return { ...shared, readMs: "cache.ms", writeMs: "cache.ms" };
  return {
    ...shared,
    reads: "cache-server.operations",
    writes: "cache-server.operations",
    readMs: "cache-server.ms",
    writeMs: "cache-server.ms",
    bytes: "cache-server.bytes",
  };
}

export function nodeFacts({ capacities }: CapacityTable, part: ResolvedPart): NodeFacts {
  const ids = idsOf(part);
  const figure = (id: CapacityId | undefined) => {
    if (id === undefined) return undefined;
    const { low, mid, high } = capacities[id];
    return { low, mid, high };
  };
  // One thread that works `serviceMs` on each call takes a thousand of them divided by that.
  const perSecond = part.serviceMs && divide(exactly(1_000), part.serviceMs);
  return {
    readsPerSecond: perSecond ?? figure(ids.reads),
    writesPerSecond: perSecond ?? figure(ids.writes),
    readMs: part.serviceMs ?? (figure(ids.readMs) as Interval),
    writeMs: part.serviceMs ?? (figure(ids.writeMs) as Interval),
    networkBytes: figure("network.bytes") as Interval,
    bytes: part.kind === "cache" && part.inCode && part.maxBytes ? part.maxBytes : figure(ids.bytes),
    connections: figure(ids.connections)?.mid,
    availability: part.availability ?? (figure(ids.availability) as Interval),
    recoveryMs: figure(ids.recovery),
  };
}

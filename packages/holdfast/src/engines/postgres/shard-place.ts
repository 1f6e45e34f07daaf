/**
 * Where a logical shard is: its node, its schema there, and how far a server of that node has to be to have it.
 *
 * A shard that was made on its node lives in schema `s3`. Each move gives it another name (`s3_m12`), on both sides
 * at once: what still asks the old place by the old name, prepared or not, on the primary and by replay on each
 * replica, finds nothing, where it would have found the past.
 */
import type { LogPosition } from "../../call/index.ts";
import type { ShardMap } from "../../placement/index.ts";
import type { Line } from "./timeline.ts";

export interface ShardPlace {
  readonly node: string;
  readonly schema: string;
  /** What a server of the node has replayed when it has the shard. `undefined`: it was made there. */
  readonly floor: LogPosition | undefined;
  /** Where it was before, and that node's history up to then: what a session knows of it is held against that. */
  readonly left: { readonly node: string; readonly line: Line } | undefined;
}

export interface PlacedMap {
  /** 1 for the first map; grows by one with every shard that moves. */
  readonly epoch: number;
  /** The index is the shard. */
  readonly places: readonly ShardPlace[];
}

/** A place as JSON: 64-bit numbers are strings, maps are lists. */
export interface PlainPlace {
  readonly node: string;
  readonly schema: string;
  readonly floor?: { readonly system: string; readonly timeline: number; readonly lsn: string };
  readonly left?: {
    readonly node: string;
    readonly system: string;
    readonly timeline: number;
    /** Absent when the server would not tell. */
    readonly forks?: readonly (readonly [timeline: number, lsn: string])[];
  };
}

/** Schema of a shard that has not moved, in the part's database on its node. */
export function shardSchema(shard: number): string {
  return `s${shard}`;
}

/** Where shards are that have never moved. */
export function firstPlaces({ epoch, shards }: ShardMap): PlacedMap {
  return {
    epoch,
    places: shards.map((node, shard) => ({
      node,
      schema: shardSchema(shard),
      floor: undefined,
      left: undefined,
    })),
  };
}

export function plainPlace({ node, schema, floor, left }: ShardPlace): PlainPlace {
  const forks = left?.line.forks && [...left.line.forks].map(([tl, lsn]) => [tl, lsn.toString()] as const);
  return {
    node,
    schema,
    ...(floor && { floor: { ...floor, lsn: floor.lsn.toString() } }),
    ...(left && {
      left: {
        node: left.node,
        system: left.line.system,
        timeline: left.line.timeline,
        ...(forks && { forks }),
      },
    }),
  };
}

export function placeFrom({ node, schema, floor, left }: PlainPlace): ShardPlace {
  return {
    node,
    schema,
    floor: floor && { ...floor, lsn: BigInt(floor.lsn) },
    left: left && {
      node: left.node,
      line: {
        system: left.system,
        timeline: left.timeline,
        forks: left.forks && new Map(left.forks.map(([timeline, lsn]) => [timeline, BigInt(lsn)])),
      },
    },
  };
}

export function shardsOfNode(map: PlacedMap, node: string): number[] {
  return map.places.flatMap((place, shard) => (place.node === node ? [shard] : []));
}

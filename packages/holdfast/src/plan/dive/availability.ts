/**
 * Availability of each operation: every part it waits for has to be up (in series), and a part is up while enough
 * of its copies are (in parallel). Failures are taken as independent, which flatters: shared causes are not in it.
 */
import { missShare } from "../estimate/part-load.ts";
import type { PartSize } from "../estimate/part-size.ts";
import { formatValue } from "../format.ts";
import { inSeries, kOfN, yearDays } from "../models/availability.ts";
import type { Interval } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";

export const monthMinutes = (yearDays * 24 * 60) / 12;

export interface PartAvailability {
  readonly part: string;
  readonly availability: Interval;
  readonly how: string;
}

export interface OperationAvailability {
  readonly operation: string;
  /** What it waits for. */
  readonly parts: readonly PartAvailability[];
  readonly availability: Interval;
  readonly downMinutesPerMonth: Interval;
  readonly objective: Interval;
  readonly budgetMinutesPerMonth: number;
  readonly met: boolean;
}

export function operationAvailabilities(
  requirements: ResolvedRequirements,
  sizes: ReadonlyMap<string, PartSize>,
  regionAvailability: Interval,
): readonly OperationAvailability[] {
  const { operations, availability: objective, regions } = requirements;
  return operations.map((operation) => {
    const seen = new Map<string, PartAvailability>();
    for (const step of operation.path) {
      const size = sizes.get(step.part);
      if (!size || step.async || size.part.kind === "worker" || inProcess(size)) continue;
      const all = partAvailability(size, step.does, step.level === "strong");
      const found = step.onMissOf === undefined ? all : onMiss(all, missShare(requirements, step));
      // Asked twice: up when the harder of the two can be done.
      const before = seen.get(step.part);
      if (!before || found.availability.mid < before.availability.mid) seen.set(step.part, found);
    }
    const region = {
      part: regions > 1 ? `${regions} regions` : "the region",
      availability: perBound((bound) => atLeast(1, regions, regionAvailability[bound])),
      how: regions > 1 ? `one of ${regions}` : "all of it is there",
    };
    const parts = [...seen.values(), region];
    const availability = perBound((bound) => allOf(parts.map((part) => part.availability[bound])));
    return {
      operation: operation.name,
      parts,
      availability,
      downMinutesPerMonth: {
        low: (1 - availability.high) * monthMinutes,
        mid: (1 - availability.mid) * monthMinutes,
        high: (1 - availability.low) * monthMinutes,
      },
      objective,
      budgetMinutesPerMonth: (1 - objective.mid) * monthMinutes,
      met: availability.mid >= objective.mid,
    };
  });
}

/** Needed by the calls that a cache does not answer: a miss that fails is a call that fails, a hit is none. */
function onMiss({ part, availability, how }: PartAvailability, share: Interval): PartAvailability {
  const up = (missed: number, each: number) => 1 - missed * (1 - each);
  return {
    part,
    availability: {
      low: up(share.high, availability.low),
      mid: up(share.mid, availability.mid),
      high: up(share.low, availability.high),
    },
    how: `${how}, for ${formatValue(share.mid, "ratio")} of the calls`,
  };
}

function inProcess({ part }: PartSize): boolean {
  return part.kind === "cache" && part.inCode;
}

function partAvailability(size: PartSize, does: "read" | "write", strong: boolean): PartAvailability {
  const { part, count, utilisation, replicas, facts } = size;
  const each = facts.availability;
  const name = part.name;
  if (part.kind === "database" || part.kind === "search" || part.kind === "topic" || part.kind === "queue") {
    // A call is about one shard: its node and the replicas of that node.
    if (replicas === 0) return { part: name, availability: each, how: "one server" };
    const log = part.kind === "topic" || part.kind === "queue";
    if (does === "read" && !strong && !log) {
      return {
        part: name,
        availability: perBound((bound) => atLeast(1, 1 + replicas, each[bound])),
        how: `one of ${1 + replicas} copies`,
      };
    }
    // While a replica can take over, the primary is missed for as long as that takes, at each of its failures.
    const availability = perBound((bound) => withTakeover(each[bound], facts));
    return { part: name, availability, how: "the primary, or a replica that took over" };
  }
  if (part.kind === "gateway" || part.kind === "service" || part.kind === "worker" || part.kind === "cache") {
    const copies = Math.max(1, Math.round(count));
    // The headroom of all copies together bears some of them being gone.
    const needs = Math.min(copies, Math.max(1, Math.ceil(copies * utilisation.mid - 1e-9)));
    return {
      part: name,
      availability: perBound((bound) => atLeast(needs, copies, each[bound])),
      how: copies === 1 ? "one" : `${needs} of ${copies}`,
    };
  }
  return { part: name, availability: each, how: "as the table has it" };
}

/** A server that fails is usually gone for an hour (restart, repair); with a stand-in, for the takeover only. */
const repairMs = 3_600_000;

function withTakeover(each: number, { recoveryMs }: PartSize["facts"]): number {
  const takeover = Math.min(1, (recoveryMs?.mid ?? repairMs) / repairMs);
  return 1 - (1 - each) * takeover;
}

/** Copies that a binomial is worked out for. Of more, two hundred in the same proportion: fewer stand in for fewer. */
const copiesMax = 200;

function atLeast(needed: number, copies: number, each: number): number {
  const shrink = Math.min(1, copiesMax / copies);
  const many = Math.round(copies * shrink);
  const found = kOfN(Math.min(Math.ceil(needed * shrink), many), many, each);
  if (!found.holds) throw new Error(`availability of ${needed} of ${copies}: ${found.why}`);
  return found.share;
}

function allOf(shares: readonly number[]): number {
  const found = inSeries(shares);
  if (!found.holds) throw new Error(`availability in series: ${found.why}`);
  return found.share;
}

function perBound(f: (bound: keyof Interval) => number): Interval {
  return { low: f("low"), mid: f("mid"), high: f("high") };
}

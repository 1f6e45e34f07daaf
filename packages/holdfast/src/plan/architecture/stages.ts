/**
 * The stages by which the simplest system (a client, a server, a database) grows into this one, each with the load
 * at which the model finds it necessary. Loads are calls a second of the whole system at the peak.
 */
import { monthMinutes } from "../dive/availability.ts";
import type { PartSize } from "../estimate/part-size.ts";
import { utilisationMax } from "../estimate/part-size.ts";
import type { OperationRate } from "../estimate/rates.ts";
import { formatValue } from "../format.ts";
import { add, exactly, type Interval } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";

export type StageName =
  | "client, server, database"
  | "balancer"
  | "cache"
  | "replicas"
  | "shards"
  | "asynchronous"
  | "observability"
  | "regions";

export interface Stage {
  readonly name: StageName;
  readonly what: string;
  /** Calls a second of the whole system from which on it is necessary. `undefined`: at no load, for these requirements. */
  readonly fromPerSecond: Interval | undefined;
  /** Whether the load that is planned for has reached it. */
  readonly needed: boolean;
  /** Whether the declared parts have it. */
  readonly there: boolean;
  readonly why: string;
}

export interface StageContext {
  readonly requirements: ResolvedRequirements;
  readonly rates: ReadonlyMap<string, OperationRate>;
  readonly sizes: ReadonlyMap<string, PartSize>;
  readonly regionAvailability: Interval;
}

export function growthStages(context: StageContext): readonly Stage[] {
  const { requirements, rates, sizes } = context;
  const peak = [...rates.values()].map((rate) => rate.peak).reduce(add, exactly(0));
  const all = [...sizes.values()];
  const has = (...kinds: string[]) => all.some(({ part }) => kinds.includes(part.kind));
  const stage = (name: StageName, what: string, multiple: Multiple | undefined, there: boolean): Stage => {
    const from = multiple && scaleTo(peak, multiple.at);
    return {
      name,
      what,
      fromPerSecond: from,
      needed: multiple !== undefined && multiple.at.mid <= 1,
      there,
      why: multiple?.why ?? "the model finds no load at which these requirements need it",
    };
  };
  return [
    stage(
      "client, server, database",
      "one process that answers, one server that keeps",
      { at: exactly(0), why: "the simplest system that does all of it" },
      true,
    ),
    stage(
      "balancer",
      "several processes behind one door",
      balancer(all),
      has("gateway") || all.some(({ part, count }) => part.kind === "service" && count > 1),
    ),
    stage("cache", "answers kept close, so that the database is asked less", cache(all), has("cache", "cdn")),
    stage(
      "replicas",
      "copies that answer reads, and can take over",
      replicas(all, requirements),
      all.some((size) => size.part.kind === "database" && size.replicas > 0),
    ),
    stage(
      "shards",
      "data spread over several nodes",
      shards(all),
      all.some(({ part, count }) => part.kind === "database" && (count > 1 || (part.nodes ?? 1) > 1)),
    ),
    stage(
      "asynchronous",
      "work that nobody waits for, through a topic",
      asynchronous(all, requirements),
      has("topic", "queue", "worker"),
    ),
    stage(
      "observability",
      "metrics, logs and traces of every process",
      observability(all, requirements),
      requirements.parts.some(({ inCode }) => inCode),
    ),
    stage("regions", "a second region that can take over", regions(context), requirements.regions > 1),
  ];
}

/** From which multiple of the planned load on, and why. */
interface Multiple {
  readonly at: Interval;
  readonly why: string;
}

function scaleTo(peak: Interval, at: Interval): Interval {
  return { low: peak.mid * at.low, mid: peak.mid * at.mid, high: peak.mid * at.high };
}

/** The multiple at which `load` fills what one node of the part should take. */
function fills(load: Interval, each: Interval | undefined): Interval | undefined {
  if (!each || !(load.mid > 0)) return undefined;
  const usable = (bound: number) => bound * utilisationMax;
  return {
    low: usable(each.low) / Math.max(load.high, Number.MIN_VALUE),
    mid: usable(each.mid) / load.mid,
    high: usable(each.high) / (load.low > 0 ? load.low : load.mid),
  };
}

function earliest(multiples: readonly (Multiple | undefined)[]): Multiple | undefined {
  const known = multiples.filter((one) => one !== undefined);
  return known.sort((a, b) => a.at.mid - b.at.mid)[0];
}

function ofKind(all: readonly PartSize[], kind: string): readonly PartSize[] {
  return all.filter(({ part }) => part.kind === kind);
}

function balancer(all: readonly PartSize[]): Multiple | undefined {
  return earliest(
    ofKind(all, "service").map(({ part, load, facts }) => {
      const at = fills(add(load.reads, load.writes), facts.readsPerSecond);
      return (
        at && {
          at,
          why: `one ${part.name} takes ${formatValue((facts.readsPerSecond?.mid ?? 0) * utilisationMax, "/s")} with headroom`,
        }
      );
    }),
  );
}

/** Reads as they would be without any cache in the way. */
function readsWithoutCache({ load }: PartSize, sizes: readonly PartSize[]): Interval {
  const behind = load.from.filter(({ does, step }) => does === "read" && step?.onMissOf !== undefined);
  const direct = load.from.filter(({ does, step }) => does === "read" && step?.onMissOf === undefined);
  const cached = behind.map(({ operation, step }) => {
    const before = sizes.find(({ part }) => part.name === step?.onMissOf);
    return before?.load.from.find((one) => one.operation === operation)?.peak ?? exactly(0);
  });
  return [...direct.map(({ peak }) => peak), ...cached].reduce(add, exactly(0));
}

function cache(all: readonly PartSize[]): Multiple | undefined {
  return earliest(
    ofKind(all, "database").map((size) => {
      const at = fills(readsWithoutCache(size, all), size.facts.readsPerSecond);
      return (
        at && {
          at,
          why: `without one, one server of ${size.part.name} takes ${formatValue((size.facts.readsPerSecond?.mid ?? 0) * utilisationMax, "/s")} reads with headroom`,
        }
      );
    }),
  );
}

function replicas(all: readonly PartSize[], { availability }: ResolvedRequirements): Multiple | undefined {
  return earliest(
    ofKind(all, "database").map(({ part, load, facts }) => {
      if (facts.availability.mid < availability.mid && load.from.length > 0) {
        return {
          at: exactly(0),
          why: `one server of ${part.name} is up ${formatValue(facts.availability.mid, "ratio")} of the time, and ${formatValue(availability.mid, "ratio")} is required: at any load`,
        };
      }
      const at = fills(load.reads, facts.readsPerSecond);
      return (
        at && {
          at,
          why: `after the cache, one server of ${part.name} takes ${formatValue((facts.readsPerSecond?.mid ?? 0) * utilisationMax, "/s")} reads with headroom`,
        }
      );
    }),
  );
}

function shards(all: readonly PartSize[]): Multiple | undefined {
  return earliest(
    ofKind(all, "database").flatMap((size) => {
      const { part, load, facts, neededBytes } = size;
      const writes = fills(load.writes, facts.writesPerSecond);
      const bytes =
        facts.bytes && neededBytes.mid > 0
          ? {
              low: facts.bytes.low / neededBytes.high,
              mid: facts.bytes.mid / neededBytes.mid,
              high: facts.bytes.high / neededBytes.low,
            }
          : undefined;
      return [
        writes && {
          at: writes,
          why: `one primary of ${part.name} takes ${formatValue((facts.writesPerSecond?.mid ?? 0) * utilisationMax, "/s")} writes with headroom`,
        },
        bytes && {
          at: bytes,
          why: `one node of ${part.name} keeps ${formatValue(facts.bytes?.mid ?? 0, "B")}, and the horizon brings ${formatValue(neededBytes.mid, "B")}`,
        },
      ];
    }),
  );
}

function asynchronous(all: readonly PartSize[], { operations }: ResolvedRequirements): Multiple | undefined {
  const fanOuts = operations.flatMap(({ name, fanOut, p99Ms }): (Multiple | undefined)[] => {
    if (!fanOut) return [];
    const each = all.find(({ part }) => part.name === fanOut.to)?.facts.writeMs.mid ?? 0;
    const ms = fanOut.followers.mean.mid * each;
    return ms > p99Ms.mid
      ? [
          {
            at: exactly(0),
            why: `delivering one ${name} to ${formatValue(fanOut.followers.mean.mid, "count")} followers takes ${formatValue(ms, "ms")}, and ${formatValue(p99Ms.mid, "ms")} are allowed: at any load`,
          },
        ]
      : [];
  });
  // A topic takes the peak and lets its consumers work at the average: needed when the peak fills a writer and the average does not.
  const peaks = ofKind(all, "database").map(({ part, load, facts }): Multiple | undefined => {
    const at = fills(load.writes, facts.writesPerSecond);
    return (
      at && {
        at,
        why: `from there on the peak fills one primary of ${part.name}, and the average does not: what can wait should`,
      }
    );
  });
  return earliest([...fanOuts, ...peaks]);
}

/**
 * When more is away, somewhere, than the objective leaves of a month, somebody has to see what. Processes and servers
 * grow with the load, but there is one of each part at any.
 */
function observability(
  all: readonly PartSize[],
  { availability }: ResolvedRequirements,
): Multiple | undefined {
  const failing = all.filter(({ facts }) => facts.recoveryMs !== undefined);
  const away = (count: (size: PartSize) => number) =>
    failing.reduce((sum, size) => sum + (1 - size.facts.availability.mid) * monthMinutes * count(size), 0);
  const now = away(({ needed, replicas: copies }) => needed.mid * (1 + copies));
  if (!(now > 0)) return undefined;
  const budget = (1 - availability.mid) * monthMinutes;
  const least = away(() => 1);
  const told = (minutes: number) =>
    `is away for ${formatValue(minutes, "min/month")} added up, and the objective leaves ${formatValue(budget, "min/month")}: somebody has to see which`;
  return least >= budget
    ? { at: exactly(0), why: `with one of each, one part or another ${told(least)}, at any load` }
    : { at: exactly(budget / now), why: `at the planned load, one copy or another ${told(now)}` };
}

function regions({ requirements, regionAvailability }: StageContext): Multiple | undefined {
  if (requirements.availability.mid <= regionAvailability.mid) return undefined;
  return {
    at: exactly(0),
    why: `one region is up ${formatValue(regionAvailability.mid, "ratio")} of the time, and ${formatValue(requirements.availability.mid, "ratio")} is required: at any load`,
  };
}

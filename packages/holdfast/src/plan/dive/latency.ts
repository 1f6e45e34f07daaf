/**
 * Where the time of each operation goes: a hop for each part that it waits for, with the wait that M/M/c gives at the
 * peak, the tail of many calls (1 − (1 − p)ⁿ), and what hedging would make of it.
 *
 * The slowest hundredth of the whole lies between two bounds: that of the slowest hop with all others at their mean,
 * and the sum of every hop's own. Between them stands what independent hops give: their means add up, and what each
 * hop's slowest hundredth is above its mean adds up as deviations do, by the root of the squares.
 */

import { missShare } from "../estimate/part-load.ts";
import { type PartSize, shardsTouched } from "../estimate/part-size.ts";
import { slowestOfExponential } from "../models/fork-join.ts";
import { exactly, type Interval } from "../models/interval.ts";
import { mmc } from "../models/mmc.ts";
import { hedge, tailAmplification } from "../models/tail.ts";
import type { ResolvedOperation, ResolvedRequirements, ResolvedStep } from "../requirements/resolved.ts";

export interface HopLatency {
  readonly part: string;
  /** Calls of the part for one call of the operation; below 1 where a cache answers most. */
  readonly calls: number;
  readonly networkMs: number;
  readonly serviceMs: Interval;
  /** Mean wait for a free server at the peak. */
  readonly waitMs: Interval | undefined;
  readonly meanMs: Interval | undefined;
  readonly p99Ms: Interval | undefined;
  /** Why there are no figures. */
  readonly notModelled: string | undefined;
}

export interface OperationLatency {
  readonly operation: string;
  readonly hops: readonly HopLatency[];
  readonly meanMs: Interval | undefined;
  readonly p99Ms: Interval | undefined;
  readonly objectiveMs: Interval;
  /** Calls of other parts that one call waits for. */
  readonly calls: number;
  /** Calls of the operation that meet at least one in its slowest hundredth. */
  readonly slowShare: number;
  /** The same when each call is sent once more if it is not back after its 95th percentile. */
  readonly hedged: { readonly slowShare: number; readonly addedLoad: number };
  readonly notModelled: string | undefined;
}

const bounds = ["low", "mid", "high"] as const;
type Bound = (typeof bounds)[number];
const slowest = 0.01;
/** ln 100: the 99th percentile of an exponential time in units of its mean. */
const p99OfExponential = Math.log(1 / slowest);

export function operationLatencies(
  requirements: ResolvedRequirements,
  sizes: ReadonlyMap<string, PartSize>,
  networkMs: Interval,
  cores: number,
): readonly OperationLatency[] {
  const waits = new Map([...sizes].map(([name, size]) => [name, waitOf(size, cores)]));
  return requirements.operations.map((operation) => {
    const hops = operation.path.flatMap((step) => {
      const size = sizes.get(step.part);
      // Nobody waits for a worker: it takes what was published.
      if (!size || step.async || size.part.kind === "worker") return [];
      const wait = waits.get(step.part) as WaitOfPart;
      return hopOf(step, size, wait, missShare(requirements, step).mid, networkMs);
    });
    return summed(operation, [...hops, ...deliveries(operation, sizes, networkMs)]);
  });
}

type WaitOfPart = { readonly mean: Interval; readonly p99: Interval } | { readonly notModelled: string };

/** The queue before a part at the peak: one queue for all instances, one for each node that holds a share of the data. */
function waitOf({ part, utilisation, count, load, replicas }: PartSize, cores: number): WaitOfPart {
  const calls = load.reads.mid + load.writes.mid;
  if (calls === 0 || utilisation.mid === 0) return { mean: exactly(0), p99: exactly(0) };
  const own = part.kind === "gateway" || part.kind === "service" || part.kind === "worker";
  const servers = own ? Math.max(1, Math.round(count)) : cores;
  const arrivals = own ? calls : calls / (Math.max(1, count) * (1 + replicas));
  const at = (bound: Bound) =>
    mmc({
      arrivalsPerSecond: arrivals,
      // The time of one call that makes so many arrivals this utilisation.
      serviceMs: Math.max(1e-9, (utilisation[bound] * servers * 1_000) / arrivals),
      servers,
    });
  const [low, mid, high] = [at("low"), at("mid"), at("high")];
  if (!low.holds || !mid.holds) {
    const why = !mid.holds ? mid.why : !low.holds ? low.why : "";
    return { notModelled: `${part.name}: ${why}` };
  }
  return {
    mean: { low: low.meanWaitMs, mid: mid.meanWaitMs, high: high.holds ? high.meanWaitMs : Infinity },
    p99: {
      low: low.waitMsAt(0.99),
      mid: mid.waitMsAt(0.99),
      high: high.holds ? high.waitMsAt(0.99) : Infinity,
    },
  };
}

function hopOf(
  step: ResolvedStep,
  { part, facts, count }: PartSize,
  wait: WaitOfPart,
  share: number,
  network: Interval,
): HopLatency {
  const serviceMs = step.does === "read" ? facts.readMs : facts.writeMs;
  const inProcess = part.kind === "cache" && part.inCode;
  const hopMs = inProcess ? exactly(0) : network;
  // Keys that lie on several shards are asked for at once, and the slowest answer counts.
  const asked = step.order === "at-once" ? shardsTouched(step.keys.mid, count) : 1;
  const shared = { part: part.name, calls: step.calls.mid * asked * share, networkMs: hopMs.mid, serviceMs };
  if ("notModelled" in wait) {
    return {
      ...shared,
      waitMs: undefined,
      meanMs: undefined,
      p99Ms: undefined,
      notModelled: wait.notModelled,
    };
  }
  const figures = (bound: Bound): Times => {
    if (!Number.isFinite(wait.mean[bound])) return { mean: Infinity, p99: Infinity };
    const mean = serviceMs[bound] + wait.mean[bound];
    const p99 = mean + apart(serviceMs[bound] * (p99OfExponential - 1), wait.p99[bound] - wait.mean[bound]);
    return timesOf(step, step.calls[bound] * asked, { mean, p99 }, hopMs[bound], share);
  };
  const [low, mid, high] = bounds.map(figures) as [Times, Times, Times];
  return {
    ...shared,
    waitMs: wait.mean,
    meanMs: { low: low.mean, mid: mid.mean, high: high.mean },
    p99Ms: { low: low.p99, mid: mid.p99, high: high.p99 },
    notModelled: undefined,
  };
}

interface Times {
  readonly mean: number;
  readonly p99: number;
}

/** One hop with all its calls: at once, the slowest of them counts; one by one, all of them do. */
function timesOf(step: ResolvedStep, calls: number, one: Times, networkMs: number, share: number): Times {
  const n = Math.max(1, Math.round(calls));
  // A hop that happens rarely is in the slowest hundredth only as far as it is in it at all.
  const seldom = (times: Times): Times =>
    share >= 1
      ? times
      : {
          mean: times.mean * share,
          p99:
            share <= slowest
              ? 0
              : times.mean + (times.p99 - times.mean) * (Math.log(share / slowest) / p99OfExponential),
        };
  if (n === 1) return seldom({ mean: one.mean + networkMs, p99: one.p99 + networkMs });
  if (step.order === "one-by-one") {
    const mean = n * (one.mean + networkMs);
    return seldom({ mean, p99: mean + Math.sqrt(n) * (one.p99 - one.mean) });
  }
  const many = slowestOfExponential(n, one.mean);
  if (!many.holds) return seldom({ mean: one.mean, p99: one.p99 });
  const factor = one.p99 / (one.mean * p99OfExponential);
  return seldom({
    mean: many.meanMs + networkMs,
    p99: Math.max(one.p99, many.msAt(0.99) * Math.max(1, factor)) + networkMs,
  });
}

/** Deliveries that the caller waits for, when no worker makes them: so many at once. */
function deliveries(
  { fanOut, path }: ResolvedOperation,
  sizes: ReadonlyMap<string, PartSize>,
  networkMs: Interval,
): readonly HopLatency[] {
  const size = fanOut && fanOut.by === undefined ? sizes.get(fanOut.to) : undefined;
  if (!fanOut || !size) return [];
  const step: ResolvedStep = {
    part: fanOut.to,
    does: "write",
    calls: fanOut.followers.mean,
    order: "at-once",
    async: false,
    onMissOf: undefined,
    level: path[0]?.level ?? "session",
    keys: exactly(1),
    bytes: undefined,
  };
  return [hopOf(step, size, { mean: exactly(0), p99: exactly(0) }, 1, networkMs)];
}

function summed(operation: ResolvedOperation, hops: readonly HopLatency[]): OperationLatency {
  const remote = hops.filter(({ networkMs }) => networkMs > 0);
  const calls = remote.reduce((sum, hop) => sum + hop.calls, 0);
  const tail = tailAmplification(slowest, calls);
  const notModelled = hops.find((hop) => hop.notModelled !== undefined)?.notModelled;
  const shared = {
    operation: operation.name,
    hops,
    objectiveMs: operation.p99Ms,
    calls,
    slowShare: tail.holds ? tail.share : 0,
    hedged: hedgedTail(calls),
    notModelled,
  };
  if (notModelled !== undefined) return { ...shared, meanMs: undefined, p99Ms: undefined };
  const sum = (which: "meanMs" | "p99Ms", bound: Bound) =>
    hops.reduce((total, hop) => total + (hop[which] as Interval)[bound], 0);
  const above = (hop: HopLatency, bound: Bound) =>
    Math.max(0, (hop.p99Ms as Interval)[bound] - (hop.meanMs as Interval)[bound]);
  const mean = { low: sum("meanMs", "low"), mid: sum("meanMs", "mid"), high: sum("meanMs", "high") };
  return {
    ...shared,
    meanMs: mean,
    p99Ms: {
      low: mean.low + Math.max(0, ...hops.map((hop) => above(hop, "low"))),
      mid: mean.mid + apart(...hops.map((hop) => above(hop, "mid"))),
      high: sum("p99Ms", "high"),
    },
  };
}

/** Each call sent once more when it is not back after its 95th percentile. */
function hedgedTail(calls: number): OperationLatency["hedged"] {
  const slowerThan = (ms: number) => Math.exp(-ms);
  const hedged = hedge({ slowerThan, afterMs: Math.log(20) });
  if (!hedged.holds) return { slowShare: 0, addedLoad: 0 };
  const tail = tailAmplification(hedged.slowerThan(p99OfExponential), calls);
  return { slowShare: tail.holds ? tail.share : 0, addedLoad: hedged.addedLoad };
}

/** How far independent deviations go together: the root of their squares. */
function apart(...deviations: readonly number[]): number {
  return Math.hypot(...deviations);
}

/**
 * How many of each part: instances by what one of them takes, shards by size and by writes, replicas by reads,
 * each with headroom. More load never needs less.
 */
import { add, divide, exactly, type Interval, multiply, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { CacheEstimate } from "./cache.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";
import { type Sheet, term } from "./sheet.ts";
import type { DataVolume } from "./storage.ts";

/** Share of a node's capacity that the peak may take: what is left bears a lost node and the queue's own waiting. */
export const utilisationMax = 0.7;

export interface PartSize {
  readonly part: ResolvedPart;
  readonly load: PartLoad;
  readonly facts: NodeFacts;
  /** Instances, or nodes that data is spread over, that the estimates need. */
  readonly needed: Interval;
  /** What is there: as declared, or what is needed probably (two of what answers, for when one fails). */
  readonly count: number;
  /** Copies behind each node. */
  readonly replicas: number;
  /** Whether the declaration says how many, or the plan does. */
  readonly declared: boolean;
  /** Share of the calls that the whole part takes at most that come at the peak. Above 1 it cannot. */
  readonly utilisation: Interval;
  /** Share of the bytes that the whole part keeps well that are there at the horizon. */
  readonly fullness: Interval;
  /** What limits it: which figure comes to its end first. */
  readonly limitedBy: "calls" | "writes" | "reads" | "bytes" | "nothing";
  /** Times today's load at which it is at its end. */
  readonly saturatesAt: Interval | undefined;
  /** Calls a second of one kind that the whole part takes at most. */
  readonly capacityPerSecond: Interval | undefined;
  /** One copy of what it keeps at the horizon, with indexes. */
  readonly neededBytes: Interval;
}

const answering: ReadonlySet<string> = new Set(["gateway", "service", "worker"]);
const keeping: ReadonlySet<string> = new Set(["database", "search", "topic", "queue"]);
const none = exactly(0);

export function sizePart(
  sheet: Sheet,
  part: ResolvedPart,
  load: PartLoad,
  facts: NodeFacts,
  volumes: readonly DataVolume[],
  caches: readonly CacheEstimate[],
): PartSize {
  if (answering.has(part.kind)) return sizeInstances(sheet, part, load, facts);
  if (part.kind === "cache" && !part.inCode) return sizeCache(sheet, part, load, facts, caches);
  if (keeping.has(part.kind)) return sizeNodes(sheet, part, load, facts, volumes);
  return {
    part,
    load,
    facts,
    needed: exactly(1),
    count: part.instances ?? part.nodes ?? 1,
    replicas: part.replicas ?? 0,
    declared: true,
    utilisation: none,
    fullness: none,
    limitedBy: "nothing",
    saturatesAt: undefined,
    capacityPerSecond: undefined,
    neededBytes: exactly(0),
  };
}

function sizeInstances(sheet: Sheet, part: ResolvedPart, load: PartLoad, facts: NodeFacts): PartSize {
  const calls = add(load.reads, load.writes);
  const each = facts.readsPerSecond ?? exactly(1);
  const bytes = bytesThrough(load);
  const byCalls = divide(calls, multiply(each, exactly(utilisationMax)));
  const byBytes = divide(bytes, multiply(facts.networkBytes, exactly(utilisationMax)));
  const network = byBytes.mid > byCalls.mid;
  const needed = sheet.put(
    "capacity",
    `parts.${part.name}.instances`,
    `${part.name}, instances`,
    atLeastOne(rising(Math.max, byCalls, byBytes)),
    "count",
    network
      ? `${term(bytes, "B/s")} through them ÷ (${term(facts.networkBytes, "B/s")} each × ${utilisationMax})`
      : `${term(calls, "/s")} ÷ (${term(each, "/s")} each × ${utilisationMax})`,
  );
  const declared = part.instances !== undefined;
  // Two, so that one may fail or be replaced while the other answers.
  const count = part.instances ?? Math.max(2, needed.mid);
  const capacity = multiply(each, exactly(count));
  const utilisation = rising(
    Math.max,
    divide(calls, capacity),
    divide(bytes, multiply(facts.networkBytes, exactly(count))),
  );
  const inFlight = multiply(calls, multiply(facts.readMs, exactly(1 / 1_000)));
  sheet.put(
    "capacity",
    `parts.${part.name}.in-flight`,
    `${part.name}, calls at work`,
    inFlight,
    "count",
    `${term(calls, "/s")} × ${term(facts.readMs, "ms")} (Little's law)`,
  );
  return {
    part,
    load,
    facts,
    needed,
    count,
    replicas: 0,
    declared,
    utilisation,
    fullness: none,
    limitedBy: network ? "bytes" : "calls",
    saturatesAt: saturation(utilisation),
    capacityPerSecond: capacity,
    neededBytes: exactly(0),
  };
}

/** A cache behind the network: as many as its calls need, and as the memory for the wanted hit ratio needs. */
function sizeCache(
  sheet: Sheet,
  part: ResolvedPart,
  load: PartLoad,
  facts: NodeFacts,
  caches: readonly CacheEstimate[],
): PartSize {
  const calls = add(load.reads, load.writes);
  const each = facts.readsPerSecond ?? exactly(1);
  const bytes = caches
    .filter(({ cachePart }) => cachePart === part.name)
    .map((cache) => cache.bytes)
    .reduce(add, none);
  const byCalls = atLeastOne(divide(calls, multiply(each, exactly(utilisationMax))));
  const byMemory = facts.bytes ? atLeastOne(divide(bytes, facts.bytes)) : exactly(1);
  const needed = sheet.put(
    "capacity",
    `parts.${part.name}.nodes`,
    `${part.name}, nodes`,
    rising(Math.max, byCalls, byMemory),
    "count",
    `the larger of ${term(calls, "/s")} ÷ (${term(each, "/s")} each × ${utilisationMax})${facts.bytes ? ` and ${term(bytes, "B")} ÷ ${term(facts.bytes, "B")} each` : ""}`,
  );
  // Two, so that the database does not get everything at once when one is gone.
  const count = part.nodes ?? part.instances ?? Math.max(2, needed.mid);
  const capacity = multiply(each, exactly(count));
  const utilisation = divide(calls, capacity);
  return {
    part,
    load,
    facts,
    needed,
    count,
    replicas: part.replicas ?? 0,
    declared: part.nodes !== undefined || part.instances !== undefined,
    utilisation,
    fullness: facts.bytes ? divide(bytes, multiply(facts.bytes, exactly(count))) : none,
    limitedBy: byMemory.mid > byCalls.mid ? "bytes" : "calls",
    saturatesAt: saturation(utilisation),
    capacityPerSecond: capacity,
    neededBytes: bytes,
  };
}

/** What goes through an instance at the peak: every request comes in and goes on, every answer too. */
function bytesThrough({ from }: PartLoad): Interval {
  return from
    .filter(({ step }) => step !== undefined)
    .map(({ peak, step, operation }) =>
      multiply(peak, step?.bytes ?? add(operation.requestBytes, operation.responseBytes)),
    )
    .reduce(add, none);
}

function sizeNodes(
  sheet: Sheet,
  part: ResolvedPart,
  load: PartLoad,
  facts: NodeFacts,
  volumes: readonly DataVolume[],
): PartSize {
  const put = (id: string, title: string, value: Interval, how: string) =>
    sheet.put("capacity", `parts.${part.name}.${id}`, `${part.name}, ${title}`, value, "count", how);
  const writesEach = facts.writesPerSecond ?? exactly(1);
  const readsEach = facts.readsPerSecond ?? exactly(1);
  const usable = (each: Interval) => multiply(each, exactly(utilisationMax));
  const byWrites = put(
    "nodes-by-writes",
    "shards (nodes) by writes",
    atLeastOne(add(divide(load.writes, usable(writesEach)), divide(load.strongReads, usable(readsEach)))),
    `${term(load.writes, "/s")} ÷ (${term(writesEach, "/s")} each × ${utilisationMax})${load.strongReads.high > 0 ? ` + ${term(load.strongReads, "/s")} strong reads ÷ (${term(readsEach, "/s")} × ${utilisationMax})` : ""}`,
  );
  const bytes = volumes
    .filter(({ data }) => data.in === part.name)
    .map(({ copyBytes }) => copyBytes)
    .reduce(add, exactly(0));
  const bySize =
    facts.bytes && bytes.high > 0
      ? put(
          "nodes-by-size",
          "shards (nodes) by size",
          atLeastOne(divide(bytes, facts.bytes)),
          `${term(bytes, "B")} with indexes ÷ ${term(facts.bytes, "B")} each`,
        )
      : exactly(1);
  const needed = put(
    "nodes",
    "shards (nodes)",
    rising(Math.max, byWrites, bySize),
    `the larger of ${term(byWrites, "count")} by writes and ${term(bySize, "count")} by size`,
  );
  const declared = part.nodes !== undefined;
  const count = part.nodes ?? needed.mid;
  if (part.kind === "database") {
    const busy = multiply(
      add(multiply(load.reads, facts.readMs), multiply(load.writes, facts.writeMs)),
      exactly(1 / 1_000),
    );
    put(
      "connections",
      "connections at work",
      busy,
      `${term(load.reads, "/s")} reads × ${term(facts.readMs, "ms")} + ${term(load.writes, "/s")} writes × ${term(facts.writeMs, "ms")} (Little's law)`,
    );
  }
  const copyReads = rising((reads, strong) => Math.max(0, reads - strong), load.reads, load.strongReads);
  const copiesByReads = put(
    "copies-by-reads",
    "copies that answer reads, over all nodes",
    rising(Math.ceil, divide(copyReads, usable(readsEach))),
    `${term(copyReads, "/s")} ÷ (${term(readsEach, "/s")} each × ${utilisationMax})`,
  );
  // One more than reads need: the primary answers some itself, and one copy may be gone.
  const replicas = part.replicas ?? Math.max(1, Math.ceil(copiesByReads.mid / count));
  // Writes cost each node of the primary; reads that may be stale are spread over all copies, the primary included.
  const primary = add(divide(load.writes, writesEach), divide(load.strongReads, readsEach));
  const copies = divide(copyReads, multiply(readsEach, exactly(1 + replicas)));
  const whole = divide(add(primary, copies), exactly(count));
  const full = facts.bytes ? divide(bytes, multiply(facts.bytes, exactly(count))) : exactly(0);
  return {
    part,
    load,
    facts,
    needed,
    count,
    replicas,
    declared,
    utilisation: whole,
    fullness: full,
    limitedBy: full.mid > whole.mid ? "bytes" : primary.mid >= copies.mid ? "writes" : "reads",
    saturatesAt: saturation(whole),
    capacityPerSecond: multiply(writesEach, exactly(count)),
    neededBytes: bytes,
  };
}

/** Times the load at which all of the part's capacity is taken. Nothing comes to an end that nobody asks. */
function saturation({ low, mid, high }: Interval): Interval | undefined {
  if (!(mid > 0)) return undefined;
  return { low: 1 / high, mid: 1 / mid, high: low > 0 ? 1 / low : Number.POSITIVE_INFINITY };
}

function atLeastOne(value: Interval): Interval {
  return rising((one) => Math.max(1, Math.ceil(one - 1e-9)), value);
}

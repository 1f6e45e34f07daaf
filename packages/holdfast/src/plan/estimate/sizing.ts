/**
 * How many of each part: instances by what one of them takes, shards by size and by writes, replicas by reads,
 * each with headroom. More load never needs less.
 */
import { add, divide, exactly, type Interval, multiply, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
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
  /** Share of the whole part's capacity that the peak takes. Above 1 it cannot. */
  readonly utilisation: Interval;
  /** What limits it: which figure comes to its end first. */
  readonly limitedBy: "calls" | "writes" | "reads" | "bytes" | "nothing";
  /** Times today's load at which it is at its end. */
  readonly saturatesAt: Interval | undefined;
  /** Calls a second of one kind that the whole part takes at most. */
  readonly capacityPerSecond: Interval | undefined;
}

const answering: ReadonlySet<string> = new Set(["gateway", "service", "worker"]);
const keeping: ReadonlySet<string> = new Set(["database", "search", "topic", "queue", "cache"]);
const unlimited = exactly(0);

export function sizePart(
  sheet: Sheet,
  part: ResolvedPart,
  load: PartLoad,
  facts: NodeFacts,
  volumes: readonly DataVolume[],
): PartSize {
  if (answering.has(part.kind)) return sizeInstances(sheet, part, load, facts);
  if (keeping.has(part.kind)) return sizeNodes(sheet, part, load, facts, volumes);
  return {
    part,
    load,
    facts,
    needed: exactly(1),
    count: part.instances ?? part.nodes ?? 1,
    replicas: part.replicas ?? 0,
    declared: true,
    utilisation: unlimited,
    limitedBy: "nothing",
    saturatesAt: undefined,
    capacityPerSecond: undefined,
  };
}

function sizeInstances(sheet: Sheet, part: ResolvedPart, load: PartLoad, facts: NodeFacts): PartSize {
  const calls = add(load.reads, load.writes);
  const each = facts.readsPerSecond ?? exactly(1);
  const usable = multiply(each, exactly(utilisationMax));
  const needed = sheet.put(
    "capacity",
    `parts.${part.name}.instances`,
    `${part.name}, instances`,
    atLeastOne(divide(calls, usable)),
    "count",
    `${term(calls, "/s")} ÷ (${term(each, "/s")} each × ${utilisationMax})`,
  );
  const declared = part.instances !== undefined;
  // Two, so that one may fail or be replaced while the other answers.
  const count = part.instances ?? Math.max(2, needed.mid);
  const capacity = multiply(each, exactly(count));
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
    utilisation: divide(calls, capacity),
    limitedBy: "calls",
    saturatesAt: saturation(calls, capacity),
    capacityPerSecond: capacity,
  };
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
    "nodes by writes",
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
          "nodes by size",
          atLeastOne(divide(bytes, facts.bytes)),
          `${term(bytes, "B")} with indexes ÷ ${term(facts.bytes, "B")} each`,
        )
      : exactly(1);
  const needed = put(
    "nodes",
    "nodes",
    rising((...all) => Math.max(...all), byWrites, bySize),
    `the larger of ${term(byWrites, "count")} by writes and ${term(bySize, "count")} by size`,
  );
  const declared = part.nodes !== undefined;
  const count = part.nodes ?? needed.mid;
  const copyReads = rising((reads, strong) => Math.max(0, reads - strong), load.reads, load.strongReads);
  const replicasByReads = put(
    "replicas-by-reads",
    "replicas by reads, each node",
    rising(Math.ceil, divide(divide(copyReads, exactly(count)), usable(readsEach))),
    `${term(copyReads, "/s")} ÷ ${count} nodes ÷ (${term(readsEach, "/s")} each × ${utilisationMax})`,
  );
  const replicas = part.replicas ?? Math.max(replicasByReads.mid, part.kind === "database" ? 1 : 0);
  // Writes cost each node of the primary; reads that may be stale are spread over all copies, the primary included.
  const primary = add(divide(load.writes, writesEach), divide(load.strongReads, readsEach));
  const copies = divide(copyReads, multiply(readsEach, exactly(1 + replicas)));
  const whole = divide(add(primary, copies), exactly(count));
  const full = facts.bytes ? divide(bytes, multiply(facts.bytes, exactly(count))) : exactly(0);
  const utilisation = rising((a, b) => Math.max(a, b), whole, full);
  return {
    part,
    load,
    facts,
    needed,
    count,
    replicas,
    declared,
    utilisation,
    limitedBy: full.mid > whole.mid ? "bytes" : primary.mid >= copies.mid ? "writes" : "reads",
    saturatesAt:
      whole.high > 0
        ? { low: 1 / whole.high, mid: 1 / positive(whole.mid), high: 1 / positive(whole.low) }
        : undefined,
    capacityPerSecond: multiply(writesEach, exactly(count)),
  };
}

function saturation(load: Interval, capacity: Interval): Interval | undefined {
  if (!(load.low > 0)) return undefined;
  return divide(capacity, load);
}

function positive(value: number): number {
  return Math.max(value, Number.MIN_VALUE);
}

function atLeastOne(value: Interval): Interval {
  return rising((one) => Math.max(1, Math.ceil(one - 1e-9)), value);
}

/**
 * The plan: everything that follows from requirements and a table of capacities, as plain data. Whatever is
 * printed, drawn or written down is rendered from this, so all of it says the same.
 */

import type { DecisionRecord } from "../parts/requirements/index.ts";
import type { SystemGraph } from "./architecture/graph.ts";
import { systemGraph } from "./architecture/graph.ts";
import { mermaid } from "./architecture/mermaid.ts";
import { nodeLabel } from "./architecture/node-label.ts";
import { growthStages, type Stage } from "./architecture/stages.ts";
import type { Capacity, CapacityTable } from "./capacity/capacity.ts";
import { type OperationAvailability, operationAvailabilities } from "./dive/availability.ts";
import { type OperationLatency, operationLatencies } from "./dive/latency.ts";
import { type PartPromise, promiseOf } from "./dive/promises.ts";
import { estimateBandwidth } from "./estimate/bandwidth.ts";
import { estimateCaches } from "./estimate/cache.ts";
import { estimateCost } from "./estimate/cost.ts";
import { estimateFanOuts } from "./estimate/fan-out.ts";
import { nodeFacts } from "./estimate/node-facts.ts";
import { estimatePartLoads, type PartLoad } from "./estimate/part-load.ts";
import type { PartSize } from "./estimate/part-size.ts";
import { estimateQueues } from "./estimate/queues.ts";
import { estimateRates } from "./estimate/rates.ts";
import { type Estimate, Sheet } from "./estimate/sheet.ts";
import { sizePart } from "./estimate/sizing.ts";
import { estimateDisks, estimateStorage } from "./estimate/storage.ts";
import { findAll } from "./findings/find.ts";
import type { Finding } from "./findings/finding.ts";
import type { Interval } from "./models/interval.ts";
import type { Assumption, ResolvedRequirements } from "./requirements/resolved.ts";

export interface Plan {
  readonly name: string;
  readonly summary: string | undefined;
  /** Times the load of the requirements. */
  readonly scale: number;
  /** Operations in scope, what was left out on purpose. */
  readonly scope: { readonly in: readonly string[]; readonly out: readonly string[] };
  readonly findings: readonly Finding[];
  readonly estimates: readonly Estimate[];
  readonly architecture: {
    readonly graph: SystemGraph;
    readonly parts: readonly PlannedSize[];
    readonly mermaid: string;
    readonly paths: readonly RequestPath[];
    readonly stages: readonly Stage[];
  };
  readonly latency: readonly OperationLatency[];
  readonly availability: readonly OperationAvailability[];
  readonly promises: readonly PartPromise[];
  readonly decisions: readonly DecisionRecord[];
  readonly assumptions: readonly Assumption[];
  /** Which table of capacities was used, and its figures that the plan rests on. */
  readonly capacity: { readonly title: string; readonly figures: readonly Capacity[] };
}

export interface RequestPath {
  readonly operation: string;
  readonly steps: readonly {
    readonly part: string;
    readonly does: "read" | "write";
    readonly calls: Interval;
    readonly async: boolean;
    readonly onMissOf: string | undefined;
    readonly level: string;
  }[];
}

export interface PlannedSize {
  readonly part: string;
  readonly kind: string;
  readonly count: number;
  readonly needed: Interval;
  readonly replicas: number;
  readonly utilisation: Interval;
  readonly saturatesAt: Interval | undefined;
  /** Whether it lives in the processes that use it. */
  readonly inProcess: boolean;
  readonly fullness: Interval;
  readonly limitedBy: string;
}

export interface PlanOptions {
  readonly capacity: CapacityTable;
  /** Times the load of the requirements. Default 1. */
  readonly scale?: number;
}

export function makePlan(requirements: ResolvedRequirements, { capacity, scale = 1 }: PlanOptions): Plan {
  const sheet = new Sheet();
  const figure = (id: "region.availability" | "network.zone-ms" | "node.cores") => capacity.capacities[id];
  const rates = estimateRates(sheet, requirements, scale);
  const bandwidth = estimateBandwidth(sheet, rates);
  const volumes = estimateStorage(sheet, requirements, rates, scale);
  const loads = estimatePartLoads(sheet, requirements, rates);
  const caches = estimateCaches(sheet, requirements, loads, volumes);
  const sizes = new Map(
    requirements.parts.map((part) => {
      const load = loads.get(part.name) as PartLoad;
      return [part.name, sizePart(sheet, part, load, nodeFacts(capacity, part), volumes, caches)];
    }),
  );
  const stored = estimateDisks(sheet, requirements, volumes, sizes);
  const queues = estimateQueues(sheet, requirements, sizes);
  const fanOuts = estimateFanOuts(sheet, requirements, rates, sizes, scale);
  estimateCost(sheet, requirements, sizes, stored, bandwidth);
  const regionAvailability = figure("region.availability");
  const latencies = operationLatencies(
    requirements,
    sizes,
    figure("network.zone-ms"),
    Math.max(1, Math.round(figure("node.cores").mid)),
  );
  const availabilities = operationAvailabilities(requirements, sizes, regionAvailability);
  const graph = systemGraph(requirements);
  const parts = new Map([...sizes].map(([name, size]) => [name, plannedSize(size)]));
  const findings = findAll({
    requirements,
    graph,
    rates,
    sizes,
    volumes,
    caches,
    queues,
    latencies,
    availabilities,
    fanOuts,
    regionAvailability,
  });
  return {
    name: requirements.name,
    summary: requirements.summary,
    scale,
    scope: { in: requirements.operations.map(({ name }) => name), out: requirements.outOfScope },
    findings,
    estimates: sheet.all(),
    architecture: {
      graph,
      parts: [...parts.values()],
      mermaid: mermaid(graph, (node) => nodeLabel(node, parts.get(node.id))),
      paths: requirements.operations.map(({ name, path }) => ({
        operation: name,
        steps: path.map(({ part, does, calls, async, onMissOf, level }) => ({
          part,
          does,
          calls,
          async,
          onMissOf,
          level,
        })),
      })),
      stages: growthStages({ requirements, rates, sizes, regionAvailability }),
    },
    latency: latencies,
    availability: availabilities,
    promises: [...sizes.values()].map(promiseOf),
    decisions: requirements.decisions,
    assumptions: requirements.assumptions,
    capacity: { title: capacity.title, figures: figuresUsed(capacity, requirements) },
  };
}

/** The figures of the kinds of part that there are, and of what lies between and beneath them. */
function figuresUsed({ capacities }: CapacityTable, { parts }: ResolvedRequirements): readonly Capacity[] {
  const kinds = new Set<string>(parts.map(({ kind }) => kind));
  if (parts.some(({ kind, inCode }) => kind === "cache" && !inCode)) kinds.add("cache-server");
  const always = new Set(["node.cores", "network.zone-ms", "region.availability"]);
  return Object.values(capacities).filter(({ id }) => always.has(id) || kinds.has(id.split(".")[0] ?? ""));
}

function plannedSize(size: PartSize): PlannedSize {
  const { part, count, needed, replicas, utilisation, fullness, saturatesAt, limitedBy } = size;
  const inProcess = part.kind === "cache" && part.inCode;
  return {
    part: part.name,
    kind: part.kind,
    inProcess,
    count,
    needed,
    replicas,
    utilisation,
    fullness,
    saturatesAt,
    limitedBy,
  };
}

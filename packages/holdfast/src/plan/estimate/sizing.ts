/**
 * How many of each part: instances by what one of them takes, shards by size and by writes, replicas by reads,
 * each with headroom. More load never needs less.
 */
import { exactly } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { CacheEstimate } from "./cache.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";
import { none, type PartSize } from "./part-size.ts";
import type { Sheet } from "./sheet.ts";
import { sizeCache } from "./size-cache.ts";
import { sizeInstances } from "./size-instances.ts";
import { sizeNodes } from "./size-nodes.ts";
import type { DataVolume } from "./storage.ts";

const answering: ReadonlySet<string> = new Set(["gateway", "service", "worker"]);
const keeping: ReadonlySet<string> = new Set(["database", "search", "topic", "queue"]);

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
    busyWith: "nothing",
    saturatesAt: undefined,
    capacityPerSecond: undefined,
    neededBytes: exactly(0),
  };
}

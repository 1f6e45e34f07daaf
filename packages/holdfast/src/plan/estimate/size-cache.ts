/** A cache behind the network: as many as its calls need, and as the memory for the wanted hit ratio needs. */
import { add, divide, exactly, multiply, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { CacheEstimate } from "./cache.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";
import { atLeastOne, none, type PartSize, saturation, utilisationMax } from "./part-size.ts";
import { type Sheet, term } from "./sheet.ts";

export function sizeCache(
  sheet: Sheet,
  part: ResolvedPart,
  load: PartLoad,
  facts: NodeFacts,
  caches: readonly CacheEstimate[],
): PartSize {
  const calls = add(load.reads, load.writes);
  const each = facts.readsPerSecond ?? exactly(1);
  const wanted = caches
    .filter(({ cachePart }) => cachePart === part.name)
    .map((cache) => cache.bytes)
    .reduce(add, none);
  // A limit on the whole cache is kept: what is wanted beyond it makes it a small cache, not a larger one.
  const limit = part.inCode ? undefined : part.maxBytes;
  const bytes = limit ? rising(Math.min, wanted, limit) : wanted;
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
    busyWith: "calls",
    limitedBy: byMemory.mid > byCalls.mid ? "bytes" : "calls",
    saturatesAt: saturation(utilisation),
    capacityPerSecond: capacity,
    neededBytes: bytes,
  };
}

/** Nodes that keep data: shards by size and by writes, copies by reads. */
import { add, divide, exactly, type Interval, multiply, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";
import { atLeastOne, type PartSize, saturation, utilisationMax } from "./part-size.ts";
import { type Sheet, term } from "./sheet.ts";
import type { DataVolume } from "./storage.ts";

export function sizeNodes(
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
  // Data that is cut into so many shards cannot be on more nodes.
  const few = part.shards !== undefined && part.shards < needed.mid;
  const declared = part.nodes !== undefined || few;
  const count = part.nodes ?? (few ? (part.shards as number) : needed.mid);
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
  const busyWith = primary.mid >= copies.mid ? "writes" : "reads";
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
    limitedBy: full.mid > whole.mid ? "bytes" : busyWith,
    busyWith,
    saturatesAt: saturation(whole),
    capacityPerSecond: multiply(writesEach, exactly(count)),
    neededBytes: bytes,
  };
}

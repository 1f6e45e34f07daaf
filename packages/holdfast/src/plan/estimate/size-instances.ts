/** Processes that answer: as many as their calls need, or the bytes that go through them. */
import { add, divide, exactly, type Interval, multiply, rising } from "../models/interval.ts";
import type { ResolvedPart } from "../requirements/resolved.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { PartLoad } from "./part-load.ts";
import { atLeastOne, none, type PartSize, saturation, utilisationMax } from "./part-size.ts";
import { type Sheet, term } from "./sheet.ts";

export function sizeInstances(sheet: Sheet, part: ResolvedPart, load: PartLoad, facts: NodeFacts): PartSize {
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
    busyWith: network ? "bytes sent" : "calls",
    saturatesAt: saturation(utilisation),
    capacityPerSecond: capacity,
    neededBytes: exactly(0),
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

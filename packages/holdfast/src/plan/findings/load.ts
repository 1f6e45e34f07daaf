/** Findings about what gives way when there is more load, or all of it at once. */
import type { PartSize } from "../estimate/part-size.ts";
import { formatValue } from "../format.ts";
import { exactly, type Interval } from "../models/interval.ts";
import { retryStorm as retryStormModel } from "../models/retry-storm.ts";
import type { FindingContext } from "./context.ts";
import { evidence, type Finding, finding } from "./finding.ts";

export function loadFindings(context: FindingContext): readonly Finding[] {
  return [
    ...underCapacity(context),
    ...saturatesFirst(context),
    ...connections(context),
    ...retryStorms(context),
  ];
}

/** What a whole part takes of its own mix of calls. */
function capacityOf({ utilisation, load }: PartSize): Interval | undefined {
  const calls = load.reads.mid + load.writes.mid;
  return utilisation.mid > 0 ? exactly(calls / utilisation.mid) : undefined;
}

function underCapacity({ sizes }: FindingContext): Finding[] {
  return [...sizes.values()]
    .filter(({ declared, count, needed }) => declared && count < needed.mid)
    .map(({ part, count, needed, utilisation, fullness, load, limitedBy }) =>
      finding({
        kind: "under-capacity",
        severity: utilisation.mid > 1 || fullness.low > 1 ? "critical" : "warning",
        subject: part.name,
        title: `${part.name} is declared with ${count}, and ${limitedBy === "bytes" && fullness.mid > 0 ? "what it keeps" : "the peak"} needs ${needed.mid}`,
        evidence: [
          evidence("declared", count, "count"),
          evidence("needed", needed, "count"),
          evidence("utilisation at the peak", utilisation, "ratio"),
          ...(fullness.mid > 0 ? [evidence("of what it keeps well, at the horizon", fullness, "ratio")] : []),
          evidence("peak", load.reads.mid + load.writes.mid, "/s"),
        ],
        remedy:
          limitedBy === "bytes" && fullness.mid > 0
            ? "Spread it over more nodes, keep it for a shorter time, or move what is old to a bucket."
            : limitedBy === "writes"
              ? "Spread it over more nodes, or take writes away from it: batch them, or send them through a topic."
              : "Declare more of it, or answer more from a cache before it.",
      }),
    );
}

function saturatesFirst({ sizes }: FindingContext): Finding[] {
  const loaded = [...sizes.values()].filter(({ saturatesAt }) => saturatesAt !== undefined);
  const at = (size: PartSize) => (size.saturatesAt as Interval).mid;
  const first = loaded.sort((a, b) => at(a) - at(b))[0];
  if (!first?.saturatesAt) return [];
  const { part, saturatesAt, busyWith, utilisation, count } = first;
  const next = loaded[1];
  return [
    finding({
      kind: "saturates-first",
      severity: saturatesAt.mid < 1 ? "critical" : saturatesAt.mid < 1.3 ? "warning" : "note",
      subject: part.name,
      title: `${part.name} comes to its end first, by ${busyWith}, at ${formatValue(saturatesAt.mid, "count")} times this load`,
      evidence: [
        evidence("at its end at this multiple", saturatesAt, "count"),
        evidence("utilisation at the peak", utilisation, "ratio"),
        evidence("of them", count, "count"),
        ...(next?.saturatesAt ? [evidence(`next, ${next.part.name}, at`, next.saturatesAt, "count")] : []),
      ],
      remedy: "This is the part to watch and to grow first; alarm on its utilisation before that multiple.",
    }),
  ];
}

function connections({ sizes }: FindingContext): Finding[] {
  return [...sizes.values()].flatMap(({ part, load, facts, count, replicas }) => {
    if (facts.connections === undefined || part.kind !== "database") return [];
    const busy = (load.reads.mid * facts.readMs.mid + load.writes.mid * facts.writeMs.mid) / 1_000;
    const each = busy / (count * (1 + replicas));
    if (each * 2 <= facts.connections) return [];
    return finding({
      kind: "connections-exhausted",
      severity: each > facts.connections ? "critical" : "warning",
      subject: part.name,
      title: `${part.name} has ${formatValue(each, "count")} calls at work on each node at the peak, and a node accepts ${facts.connections} connections`,
      evidence: [
        evidence("busy at the peak, each node", each, "count"),
        evidence("accepted, each node", facts.connections, "count"),
      ],
      remedy: "Put a pool in front, spread the data over more nodes, or make statements shorter.",
    });
  });
}

/**
 * The old rule of metastable failure: whoever fails tries `retries` times more, so a part that has to take
 * 1 + retries times the load at which it stood before does not come up again by itself.
 */
function retryStorms({ sizes }: FindingContext): Finding[] {
  const storms = [...sizes.values()].flatMap(retryStorm);
  // The part that is furthest beyond holds all others back: it is the one to tell.
  const worst = storms.sort((a, b) => b.beyond - a.beyond)[0];
  return worst ? [worst.found] : [];
}

function retryStorm(size: PartSize): readonly { readonly beyond: number; readonly found: Finding }[] {
  const capacity = capacityOf(size);
  const { part, load } = size;
  const waited = load.from.filter(({ step }) => step && !step.async);
  const sum = (which: "peak" | "average") => waited.reduce((total, one) => total + one[which].mid, 0);
  const all = sum("peak");
  if (!capacity || all === 0) return [];
  // What is left for those who wait and try again, beside what comes from elsewhere.
  const capacityPerSecond = capacity.mid - (load.reads.mid + load.writes.mid - all);
  const retries =
    waited.reduce((total, { operation, peak }) => total + peak.mid * operation.retries, 0) / all;
  const storm = retryStormModel({ capacityPerSecond, arrivalsPerSecond: all, retries });
  if (!storm.holds || storm.verdict === "recovers") return [];
  const found = finding({
    kind: "retry-storm",
    severity: sum("average") > storm.thresholdPerSecond ? "critical" : "warning",
    subject: part.name,
    title: `${part.name} would not recover at the peak if every failed call were tried ${formatValue(retries, "count")} ${retries === 1 ? "time" : "times"} more`,
    evidence: [
      evidence("peak", all, "/s"),
      evidence("capacity", capacity, "/s"),
      evidence("retries of a call", retries, "count"),
      evidence("recovers below", storm.thresholdPerSecond, "/s"),
      evidence("offered when all is tried again", storm.offeredPerSecond, "/s"),
    ],
    remedy:
      "Bound all extra attempts by a budget, a fifth of the successes, and refuse what cannot be answered in time.",
  });
  return [{ beyond: storm.offeredPerSecond / capacityPerSecond, found }];
}

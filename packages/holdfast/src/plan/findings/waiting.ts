/** Findings about waiting: latency, chains of calls, queues. */
import { formatValue } from "../format.ts";
import type { FindingContext } from "./context.ts";
import { evidence, type Finding, finding } from "./finding.ts";

export function waitingFindings(context: FindingContext): readonly Finding[] {
  return [...missedLatencies(context), ...longChains(context), ...queues(context)];
}

function missedLatencies({ latencies }: FindingContext): Finding[] {
  return latencies.flatMap(({ operation, p99Ms, objectiveMs, hops }) => {
    if (!p99Ms || p99Ms.mid <= objectiveMs.mid) return [];
    const slowest = [...hops].sort((a, b) => (b.p99Ms?.mid ?? 0) - (a.p99Ms?.mid ?? 0))[0];
    return finding({
      kind: "latency-missed",
      severity: p99Ms.low > objectiveMs.high ? "critical" : "warning",
      subject: operation,
      title: `${operation} takes ${formatValue(p99Ms.mid, "ms")} for the slowest hundredth, not ${formatValue(objectiveMs.mid, "ms")}`,
      evidence: [
        evidence("p99", p99Ms, "ms"),
        evidence("objective", objectiveMs, "ms"),
        ...(slowest?.p99Ms ? [evidence(`of which ${slowest.part}`, slowest.p99Ms, "ms")] : []),
      ],
      remedy:
        "Take the slowest hop out of the path (cache, copy, topic), give it more room, or ask its calls at once.",
    });
  });
}

/** From this share of slow calls on, a page that waits for all of them is often slow. */
const slowShareMax = 0.05;

function longChains({ latencies }: FindingContext): Finding[] {
  return latencies
    .filter(({ slowShare }) => slowShare > slowShareMax)
    .map(({ operation, calls, slowShare, hedged, hops }) =>
      finding({
        kind: "long-synchronous-chain",
        severity: slowShare > 0.2 ? "critical" : "warning",
        subject: operation,
        title: `${operation} waits for ${formatValue(calls, "count")} calls: ${formatValue(slowShare, "ratio")} of them meet at least one slow one`,
        evidence: [
          evidence("calls that it waits for", calls, "count"),
          evidence("parts in a row", hops.length, "count"),
          evidence("with at least one in the slowest hundredth", slowShare, "ratio"),
          evidence("the same with every call hedged", hedged.slowShare, "ratio"),
        ],
        remedy:
          "Wait for less: send what nobody needs at once through a topic, ask for many in one call, hedge what may be asked twice.",
      }),
    );
}

function queues({ queues: all, requirements }: FindingContext): Finding[] {
  return all.flatMap((queue) => {
    const part = requirements.parts.find(({ name }) => name === queue.part);
    const found: Finding[] = [];
    if (part && (part.limit === "none" || part.limit === undefined)) {
      found.push(
        finding({
          kind: "unbounded-queue",
          severity: "warning",
          subject: queue.part,
          title: `nothing limits how much may wait in ${queue.part}`,
          evidence: [
            evidence("messages at the peak", queue.arrivals, "/s"),
            evidence("more for each hour without a consumer", queue.perHourStopped, "count"),
            evidence("bytes for each hour", queue.bytesPerHourStopped, "B"),
          ],
          remedy:
            "Set a limit, say what happens beyond it (refuse, drop the oldest), and alarm on the age of the oldest.",
        }),
      );
    }
    if (queue.drainMs === undefined || queue.drainMs.mid > queue.stopMs) {
      found.push(
        finding({
          kind: "slow-drain",
          severity: queue.drainMs === undefined ? "critical" : "warning",
          subject: queue.part,
          title:
            queue.drainMs === undefined
              ? `${queue.part} never works off what waited: more comes than its consumers take`
              : `after ${formatValue(queue.stopMs, "ms")} without consumers, ${queue.part} needs ${formatValue(queue.drainMs.mid, "ms")} to work off what waited`,
          evidence: [
            evidence("messages on average", queue.averageArrivals, "/s"),
            evidence("consumers take", queue.served, "/s"),
            ...(queue.drainMs ? [evidence("worked off after", queue.drainMs, "ms")] : []),
          ],
          remedy: "More consumers, or larger batches; partitions bound how many can work at once.",
        }),
      );
    }
    return found;
  });
}

/** Findings about what stops when one thing stops. */

import { monthMinutes } from "../dive/availability.ts";
import type { PartSize } from "../estimate/part-size.ts";
import type { FindingContext } from "./context.ts";
import { evidence, type Finding, finding } from "./finding.ts";

export function availabilityFindings(context: FindingContext): readonly Finding[] {
  return [...singlePoints(context), ...missedObjectives(context), ...oneRegion(context)];
}

/** Copies of which one is enough to go on. */
function standIns({ part, count, replicas }: PartSize): number {
  return keeps.has(part.kind) ? 1 + replicas : count;
}

const keeps: ReadonlySet<string> = new Set(["database", "search", "topic", "queue"]);
const single: ReadonlySet<string> = new Set([...keeps, "gateway", "service", "worker", "cache"]);

function singlePoints({ requirements, sizes, availabilities }: FindingContext): Finding[] {
  const budget = (1 - requirements.availability.mid) * monthMinutes;
  return [...sizes.values()].flatMap((size) => {
    const { part, facts } = size;
    // A cache inside the processes goes with them, and comes back with them.
    if (!single.has(part.kind) || (part.kind === "cache" && part.inCode) || standIns(size) > 1) return [];
    const waiting = availabilities.filter(({ parts }) => parts.some(({ part: name }) => name === part.name));
    if (waiting.length === 0 && part.kind !== "worker") return [];
    const minutes = (1 - facts.availability.mid) * monthMinutes;
    return finding({
      kind: "single-point-of-failure",
      severity: part.kind !== "worker" && part.kind !== "cache" && minutes > budget ? "critical" : "warning",
      subject: part.name,
      title: `${part.name} is one ${part.kind}${waiting.length > 0 ? `, and ${waiting.map(({ operation }) => operation).join(", ")} ${waiting.length === 1 ? "waits" : "wait"} for it` : ", and what it does waits while it is gone"}`,
      evidence: [
        evidence("copies", standIns(size), "count"),
        evidence("down by itself", minutes, "min/month"),
        evidence("budget of the objective", budget, "min/month"),
      ],
      remedy: keeps.has(part.kind)
        ? "Give it at least one replica that can take over, and a fence that keeps the old primary out."
        : "Run at least two, behind something that notices when one is gone.",
    });
  });
}

function missedObjectives({ requirements, availabilities }: FindingContext): Finding[] {
  return availabilities
    .filter(({ availability }) => availability.mid < requirements.availability.mid)
    .map(({ operation, availability, parts }) => {
      const worst = [...parts].sort((a, b) => a.availability.mid - b.availability.mid)[0];
      return finding({
        kind: "availability-missed",
        severity: "critical",
        subject: operation,
        title: `${operation} is up less than required: its parts are needed all at once`,
        evidence: [
          evidence("availability", availability, "ratio"),
          evidence("required", requirements.availability, "ratio"),
          evidence("down", (1 - availability.mid) * monthMinutes, "min/month"),
          evidence("budget", (1 - requirements.availability.mid) * monthMinutes, "min/month"),
        ],
        remedy: `Begin with ${worst?.part ?? "the weakest part"}, the weakest of ${parts.length}: more copies, or a path that does not wait for it.`,
      });
    });
}

function oneRegion({ requirements, regionAvailability, volumes }: FindingContext): Finding[] {
  if (requirements.regions > 1) return [];
  const down = (1 - regionAvailability.mid) * monthMinutes;
  const budget = (1 - requirements.availability.mid) * monthMinutes;
  const dear = volumes.filter(({ data }) => data.durability === "critical");
  return [
    finding({
      kind: "one-region",
      severity: down > budget ? "critical" : down > budget / 2 || dear.length > 0 ? "warning" : "note",
      subject: "system",
      title: "Everything is in one region",
      evidence: [
        evidence("one region is down", down, "min/month"),
        evidence("budget of the objective", budget, "min/month"),
        ...(dear.length > 0
          ? [
              evidence(
                "critical data in it",
                dear.map(({ bytes }) => bytes.mid).reduce((a, b) => a + b, 0),
                "B",
              ),
            ]
          : []),
      ],
      remedy:
        down > budget / 2
          ? "Run in a second region that can take over, and practise it."
          : "The objective bears the loss of a region for the time that it usually takes; keep a copy of critical data elsewhere.",
    }),
  ];
}

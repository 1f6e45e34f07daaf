/**
 * What `holdfast load` measured, kept in a small file beside the system and shown beside the estimates: the estimates
 * are made anew for the rate at which it was measured, because a latency means nothing without its load.
 */
import type { CapacityTable } from "./capacity/capacity.ts";
import { formatInterval, formatValue } from "./format.ts";
import { makePlan } from "./plan.ts";
import type { Section } from "./report/sections.ts";
import type { ResolvedRequirements } from "./requirements/resolved.ts";

export interface Measured {
  /** How it was measured. */
  readonly command: string;
  /** On what: processors, memory, system; not which one. */
  readonly machine: string;
  /** What else there is to know, such as that the machine was busy. */
  readonly note: string;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly failed: number;
  /** By request, which is called as its operation. Milliseconds from the intended arrival. */
  readonly requests: Readonly<
    Record<
      string,
      { readonly count: number; readonly mean: number; readonly p50: number; readonly p99: number }
    >
  >;
}

/** What is wrong with a file of measured figures, or nothing. */
export function measuredProblems(value: unknown): readonly string[] {
  const record = (one: unknown): one is Record<string, unknown> => typeof one === "object" && one !== null;
  if (!record(value)) return ["should be an object"];
  const problems: string[] = [];
  for (const name of ["command", "machine", "note"])
    if (typeof value[name] !== "string") problems.push(`${name} should be text`);
  for (const name of ["ratePerSecond", "seconds"])
    if (!((value[name] as number) > 0)) problems.push(`${name} should be above 0`);
  if (!((value.failed as number) >= 0)) problems.push("failed should be 0 or more");
  const requests = record(value.requests) ? value.requests : {};
  if (Object.keys(requests).length === 0) problems.push("requests should have at least one request");
  for (const [name, one] of Object.entries(requests)) {
    for (const figure of ["count", "mean", "p50", "p99"])
      if (!(record(one) && (one[figure] as number) >= 0))
        problems.push(`requests.${name}.${figure} should be 0 or more`);
  }
  return problems;
}

export function measuredSection(
  requirements: ResolvedRequirements,
  capacity: CapacityTable,
  measured: Measured,
): Section {
  const peak = (scale: number) => {
    const plan = makePlan(requirements, { capacity, scale });
    const rates = plan.estimates.filter(({ id }) => id.endsWith(".peak-rate"));
    return { plan, perSecond: rates.reduce((sum, { mid }) => sum + mid, 0) };
  };
  const asPlanned = peak(1);
  const { plan } = peak(measured.ratePerSecond / asPlanned.perSecond);
  return {
    title: "Measured beside the estimates",
    note: `${measured.command}, on ${measured.machine}: ${measured.ratePerSecond} requests a second for ${Math.round(measured.seconds)} s, ${measured.failed} failed. ${measured.note} The estimates are for the same rate, with ${capacity.title}.`,
    heads: ["operation", "requests", "mean, estimated", "mean, measured", "p99, estimated", "p99, measured"],
    rows: plan.latency.flatMap(({ operation, meanMs, p99Ms }) => {
      const found = measured.requests[operation];
      if (!found) return [];
      return {
        cells: [
          operation,
          String(found.count),
          meanMs ? formatInterval(meanMs, "ms") : "",
          formatValue(found.mean, "ms"),
          p99Ms ? formatInterval(p99Ms, "ms") : "",
          formatValue(found.p99, "ms"),
        ],
      };
    }),
  };
}

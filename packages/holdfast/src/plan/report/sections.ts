/**
 * The plan in sections, each a table: what the terminal, the written design and the page have in common. The worst
 * comes first.
 */
import type { Estimate } from "../estimate/sheet.ts";
import { evidenceText, type Finding, type Severity } from "../findings/finding.ts";
import { formatInterval, formatValue, grouped, type Unit } from "../format.ts";
import type { Interval } from "../models/interval.ts";
import type { Plan } from "../plan.ts";

export interface Section {
  readonly title: string;
  /** A sentence above the table. */
  readonly note?: string;
  readonly heads: readonly string[];
  readonly rows: readonly Row[];
}

export interface Row {
  readonly cells: readonly string[];
  readonly tone?: Severity | "good";
}

export function verdict({ findings }: Plan): string {
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  const say = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${count("critical")} critical, ${say(count("warning"), "warning")}, ${say(count("note"), "note")}`;
}

export function findingSection({ findings }: Plan): Section {
  return {
    title: "Bottlenecks and trade-offs",
    note: "The worst first. Each follows from the figures below; its page says which part of the project remedies it, or that none does yet.",
    heads: ["severity", "finding", "evidence and remedy"],
    rows: findings.map((finding) => ({ tone: finding.severity, cells: findingCells(finding) })),
  };
}

function findingCells({ severity, id, subject, title, evidence, remedy, page }: Finding): readonly string[] {
  // A name stays as it is written, also where a sentence begins with it.
  const told = title.startsWith(subject.replace(/\..*/, "")) ? `${title}.` : sentence(title);
  return [severity, id, `${told}\n${evidence.map(evidenceText).join("; ")}\n${remedy} (${page})`];
}

export function estimateSections({ estimates }: Plan): readonly Section[] {
  const groups = new Map<string, Estimate[]>();
  for (const estimate of estimates) {
    const group = groups.get(estimate.group) ?? [];
    group.push(estimate);
    groups.set(estimate.group, group);
  }
  return [...groups].map(([group, all]) => ({
    title: sentence(`estimates: ${group}`).replace(/\.$/, ""),
    heads: ["what", "estimate", "how"],
    rows: all.map((estimate) => ({
      cells: [estimate.title, formatInterval(estimate, estimate.unit), estimate.how],
    })),
  }));
}

export function architectureSections({ architecture }: Plan): readonly Section[] {
  const { parts, paths, stages } = architecture;
  return [
    {
      title: "Parts",
      heads: ["part", "kind", "there", "needed", "replicas each", "busy at the peak", "at its end at"],
      rows: parts.map(({ part, kind, count, needed, replicas, utilisation, saturatesAt }) => ({
        ...(utilisation.mid > 1 ? { tone: "critical" as const } : {}),
        cells: [
          part,
          kind,
          grouped(count),
          formatInterval(needed, "count"),
          String(replicas),
          utilisation.mid > 0 ? formatInterval(utilisation, "ratio") : "",
          saturatesAt ? `× ${formatValue(saturatesAt.mid, "count")}` : "",
        ],
      })),
    },
    {
      title: "Request paths",
      heads: ["operation", "path"],
      rows: paths.map(({ operation, steps }) => ({
        cells: [operation, steps.map(stepText).join(" → ")],
      })),
    },
    {
      title: "Stages of growth",
      note: "From the simplest system to this one; loads are calls a second of the whole system at the peak, as the model has them.",
      heads: ["stage", "necessary from", "now", "declared", "why"],
      rows: stages.map(({ name, fromPerSecond, needed, there, why }) => ({
        ...(needed && !there ? { tone: "warning" as const } : {}),
        cells: [
          name,
          fromPerSecond
            ? fromPerSecond.high === 0
              ? "any load"
              : formatInterval(fromPerSecond, "/s")
            : "no load",
          needed ? "yes" : "no",
          there ? "yes" : "no",
          why,
        ],
      })),
    },
  ];
}

function stepText(step: Plan["architecture"]["paths"][number]["steps"][number]): string {
  const facts = [
    ...(step.calls.low === 1 && step.calls.high === 1
      ? []
      : [`${formatInterval(step.calls, "count")} calls`]),
    ...(step.onMissOf === undefined ? [] : [`on a miss of ${step.onMissOf}`]),
    ...(step.async ? ["nobody waits"] : []),
  ];
  return `${step.part} ${step.does}${facts.length > 0 ? ` (${facts.join(", ")})` : ""}`;
}

export function deepDiveSections(plan: Plan): readonly Section[] {
  return [latencySection(plan), availabilitySection(plan), promiseSection(plan)];
}

function latencySection({ latency }: Plan): Section {
  return {
    title: "Latency budget",
    note: "At the peak. Mean and slowest hundredth of each hop, then of the whole; tail: calls that meet at least one in the slowest hundredth of what they wait for, 1 − 0.99ⁿ, and the same when each is hedged after its 95th percentile (5 % more load).",
    heads: ["operation", "hop", "mean", "p99", "objective", "tail"],
    rows: latency.flatMap(
      ({ operation, hops, meanMs, p99Ms, objectiveMs, slowShare, hedged, notModelled }) => [
        ...hops.map((hop) => ({
          cells: [
            operation,
            `${hop.part}${times(hop.calls)}`,
            range(hop.meanMs, "ms"),
            range(hop.p99Ms, "ms"),
            "",
            "",
          ],
        })),
        {
          ...(p99Ms === undefined || p99Ms.mid > objectiveMs.mid
            ? { tone: "critical" as const }
            : { tone: "good" as const }),
          cells: [
            operation,
            notModelled === undefined ? "the whole" : `no figures: ${notModelled}`,
            range(meanMs, "ms"),
            range(p99Ms, "ms"),
            formatInterval(objectiveMs, "ms"),
            `${formatValue(slowShare, "ratio")}, hedged ${formatValue(hedged.slowShare, "ratio")}`,
          ],
        },
      ],
    ),
  };
}

function times(calls: number): string {
  return Math.abs(calls - 1) < 1e-9 ? "" : ` × ${formatValue(calls, "count")}`;
}

function range(value: Interval | undefined, unit: Unit): string {
  return value ? formatInterval(value, unit) : "";
}

function availabilitySection({ availability }: Plan): Section {
  return {
    title: "Availability",
    note: "What an operation waits for is needed all at once (in series); copies stand in for each other (in parallel). Failures are taken as independent.",
    heads: ["operation", "part", "availability", "how", "down", "budget"],
    rows: availability.flatMap(
      ({ operation, parts, availability: whole, downMinutesPerMonth, budgetMinutesPerMonth, met }) => [
        ...parts.map((part) => ({
          cells: [operation, part.part, formatValue(part.availability.mid, "ratio"), part.how, "", ""],
        })),
        {
          tone: met ? ("good" as const) : ("critical" as const),
          cells: [
            operation,
            "the whole",
            formatInterval(whole, "ratio"),
            met ? "as required" : "less than required",
            `${formatValue(downMinutesPerMonth.mid, "min/month")}`,
            `${formatValue(budgetMinutesPerMonth, "min/month")}`,
          ],
        },
      ],
    ),
  };
}

function promiseSection({ promises }: Plan): Section {
  return {
    title: "Under partition, and without (CAP, PACELC)",
    heads: ["part", "", "under partition", "otherwise", "takes over within", "may lose"],
    rows: promises.map(({ part, pacelc, underPartition, otherwise, recoveryMs, loss }) => ({
      cells: [
        part,
        pacelc === "none" ? "" : pacelc,
        underPartition,
        otherwise,
        range(recoveryMs, "ms"),
        loss,
      ],
    })),
  };
}

export function decisionSection({ decisions }: Plan): Section {
  return {
    title: "Decisions",
    heads: ["question", "options", "choice", "because", "price"],
    rows: decisions.map(({ question, options, choice, because, price }) => ({
      cells: [question, options.join(", "), choice, because, price],
    })),
  };
}

export function assumptionSection({ assumptions }: Plan): Section {
  return {
    title: "Assumed",
    note: "What was not said, and what the author took for granted.",
    heads: ["assumption", "source"],
    rows: assumptions.map(({ text, source }) => ({ cells: [text, source] })),
  };
}

export function capacitySection({ capacity }: Plan): Section {
  return {
    title: "Capacities",
    note: `${sentence(capacity.title)}`,
    heads: ["figure", "value", "of what", "origin", "source"],
    rows: capacity.figures.map(({ id, title, unit, origin, source, ...value }) => ({
      cells: [id, formatInterval(value, unit), title, origin, source],
    })),
  };
}

/** All of them, in the order in which they are told. */
export function planSections(plan: Plan): readonly Section[] {
  return [
    findingSection(plan),
    ...estimateSections(plan),
    ...architectureSections(plan),
    ...deepDiveSections(plan),
    decisionSection(plan),
    assumptionSection(plan),
    capacitySection(plan),
  ].filter(({ rows }) => rows.length > 0);
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

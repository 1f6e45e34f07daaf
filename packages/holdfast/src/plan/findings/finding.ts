/** A finding: what will give way, the figures that say so, and what to do about it. */
import { formatInterval, type Unit } from "../format.ts";
import { exactly, type Interval } from "../models/interval.ts";
import type { FindingKind } from "./kinds.ts";

export type Severity = "critical" | "warning" | "note";

export interface Evidence {
  readonly name: string;
  readonly low: number;
  readonly mid: number;
  readonly high: number;
  readonly unit: Unit;
}

export interface Finding {
  /** `KIND:SUBJECT`, stable from plan to plan. */
  readonly id: string;
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** The part, operation or data set that it is about. */
  readonly subject: string;
  readonly title: string;
  readonly evidence: readonly Evidence[];
  readonly remedy: string;
  /** Where the project says what it has against it. */
  readonly page: string;
}

export interface FindingOptions {
  readonly kind: FindingKind;
  readonly severity: Severity;
  readonly subject: string;
  readonly title: string;
  readonly evidence: readonly Evidence[];
  readonly remedy: string;
}

export function finding(options: FindingOptions): Finding {
  const { kind, subject } = options;
  return { id: `${kind}:${subject}`, ...options, page: `docs/findings.md#${kind}` };
}

export function evidence(name: string, value: number | Interval, unit: Unit): Evidence {
  return { name, ...(typeof value === "number" ? exactly(value) : value), unit };
}

export function evidenceText({ name, unit, ...value }: Evidence): string {
  return `${name} ${formatInterval(value, unit)}`;
}

const order: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, note: 2 };

/** The worst first; within one severity in the order in which they were found. */
export function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => order[a.severity] - order[b.severity]);
}

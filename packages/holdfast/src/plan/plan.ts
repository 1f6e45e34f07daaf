/**
 * The plan: everything that follows from requirements and a table of capacities, as plain data. Whatever is
 * printed, drawn or written down is rendered from this.
 */
import type { DecisionRecord } from "../parts/requirements/index.ts";
import { estimateBandwidth } from "./estimate/bandwidth.ts";
import { estimateRates } from "./estimate/rates.ts";
import { type Estimate, Sheet } from "./estimate/sheet.ts";
import { estimateStorage } from "./estimate/storage.ts";
import type { Assumption, ResolvedRequirements } from "./requirements/resolved.ts";

export interface Plan {
  readonly name: string;
  readonly summary: string | undefined;
  /** Times the load of the requirements. */
  readonly scale: number;
  readonly scope: { readonly in: readonly string[]; readonly out: readonly string[] };
  readonly estimates: readonly Estimate[];
  readonly decisions: readonly DecisionRecord[];
  readonly assumptions: readonly Assumption[];
}

export interface PlanOptions {
  /** Times the load of the requirements. Default 1. */
  readonly scale?: number;
}

export function makePlan(requirements: ResolvedRequirements, { scale = 1 }: PlanOptions = {}): Plan {
  const sheet = new Sheet();
  const rates = estimateRates(sheet, requirements, scale);
  estimateBandwidth(sheet, rates);
  estimateStorage(sheet, requirements, rates, scale);
  return {
    name: requirements.name,
    summary: requirements.summary,
    scale,
    scope: { in: requirements.operations.map(({ name }) => name), out: requirements.outOfScope },
    estimates: sheet.all(),
    decisions: requirements.decisions,
    assumptions: requirements.assumptions,
  };
}

/** All findings of a plan, the worst first. */
import { availabilityFindings } from "./availability.ts";
import type { FindingContext } from "./context.ts";
import { dataFindings } from "./data.ts";
import { type Finding, worstFirst } from "./finding.ts";
import { loadFindings } from "./load.ts";
import { popularityFindings } from "./popularity.ts";
import { waitingFindings } from "./waiting.ts";

export function findAll(context: FindingContext): readonly Finding[] {
  const all = [
    ...availabilityFindings(context),
    ...loadFindings(context),
    ...waitingFindings(context),
    ...popularityFindings(context),
    ...dataFindings(context),
  ];
  return worstFirst(unique(all));
}

/** Two steps of one operation may meet the same trouble: it is told once. */
function unique(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((one) => [one.id, one])).values()];
}

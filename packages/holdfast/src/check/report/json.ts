/**
 * A verdict as JSON, for programs. The shape is stable: fields may be added, none is renamed or removed.
 *
 * `{ verdict, model, operations, reason?, notes?, consistency?: { asked, anomalies, not, alsoNot, atMost },
 * witnesses: [{ anomaly, summary, steps, operations: [{ process, label, outcome, callIndex, startNs, endNs?,
 * involved }], edges: [{ from, to, kind, why }] }] }`
 */
import type { CheckResult } from "../verdict.ts";

export function verdictJson(result: CheckResult, indent = 0): string {
  return JSON.stringify(result, (_key, value) => (typeof value === "bigint" ? `${value}` : value), indent);
}

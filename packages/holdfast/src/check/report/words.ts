/** A verdict in words, for a terminal: what is wrong, then why, step by step. */
import type { CheckResult, Witness } from "../verdict.ts";

export const witnessesShownMax = 10;

/** @returns lines */
export function verdictWords(result: CheckResult): string[] {
  const shown = result.witnesses.slice(0, witnessesShownMax);
  const more = result.witnesses.length - shown.length;
  return [
    headline(result),
    ...shown.flatMap((witness) => ["", ...witnessWords(witness)]),
    ...(more > 0 ? ["", `and ${more} more like these.`] : []),
    ...sideWords(result),
  ].map(plain);
}

export function headline({ verdict, model, operations, reason }: CheckResult): string {
  const count = `${operations.toLocaleString("en-US")} operation${operations === 1 ? "" : "s"}`;
  if (verdict === "ok") return `ok: ${model} explains all of ${count}.`;
  if (verdict === "illegal") return `illegal: ${count} contradict ${model}.`;
  return `unknown: ${count}, and ${model} was neither proven nor refuted: ${reason ?? "no reason was given"}.`;
}

function witnessWords({ anomaly, summary, steps }: Witness): string[] {
  return [`${anomaly}: ${summary}`, ...steps.map((step, at) => `  ${at + 1}. ${step}`)];
}

/** What is said beside the verdict. */
export function sideWords({ consistency, notes = [] }: CheckResult): string[] {
  const lines = [...notes];
  if (consistency) {
    const { asked, anomalies, not, atMost } = consistency;
    const found = Object.entries(anomalies).map(([name, count]) => (count > 1 ? `${name} (${count})` : name));
    lines.push(`judged by: ${asked}`);
    if (found.length > 0) lines.push(`found: ${found.join(", ")}`);
    if (not.length > 0)
      lines.push(`not ${not.join(", not ")}; at most ${atMost.join(", ") || "nothing that has a name"}`);
  }
  return lines.length > 0 ? ["", ...lines] : [];
}

/** Values are anybody's: control characters would let them write over the terminal. */
function plain(line: string): string {
  return line.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

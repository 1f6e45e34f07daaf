/** A verdict for people. */
import type { CheckResult, Witness } from "../check/verdict.ts";

export function verdictLines(result: CheckResult, model: string): string[] {
  const { verdict, reason, operations, witnesses } = result;
  const count = `${operations.toLocaleString("en-US")} ${operations === 1 ? "operation" : "operations"}`;
  if (verdict === "ok") return [`ok: ${model} explains all ${count}.`];
  if (verdict === "unknown") {
    return [
      `unknown: ${reason}.`,
      "That is not ok. Give more with --timeout or --memory, or judge a shorter history.",
    ];
  }
  return [`illegal: ${model} does not explain these ${count}.`, ...witnesses.flatMap(witnessLines)];
}

function witnessLines({ anomaly, summary, steps }: Witness): string[] {
  return ["", `${anomaly}: ${summary}`, ...steps.map((step, i) => `  ${i + 1}. ${step}`)];
}

/** What the checks of workloads share: contradictions, bounded, each with the operations that show it. */
import { shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult, Witness, WitnessOperation } from "../verdict.ts";

const keptMax = 3;
const shownOperationsMax = 12;

export class WorkloadFindings {
  readonly #model: string;
  readonly #counts = new Map<string, number>();
  readonly #witnesses: Witness[] = [];
  readonly #notes: string[] = [];

  constructor(model: string) {
    this.#model = model;
  }

  /** @param steps said after the operations, in words */
  add(anomaly: string, summary: string, involved: readonly Operation[], steps: readonly string[] = []): void {
    const count = (this.#counts.get(anomaly) ?? 0) + 1;
    this.#counts.set(anomaly, count);
    if (count > keptMax) return;
    const shown = [...new Set(involved)]
      .sort((a, b) => a.callIndex - b.callIndex)
      .slice(0, shownOperationsMax);
    this.#witnesses.push({
      anomaly,
      summary,
      steps: [...shown.map(described), ...steps],
      operations: shown.map(shownOperation),
      edges: [],
    });
  }

  /** What a person wants to know beside the verdict, such as how many were recovered. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** @param unknown why nothing can be said, when no contradiction was found */
  result(operations: readonly Operation[], unknown?: string): CheckResult {
    const common = {
      model: this.#model,
      witnesses: this.#witnesses,
      operations: operations.length,
      notes: [...this.#notes, ...[...this.#counts].map(([anomaly, count]) => `${anomaly}: ${count}`)],
    };
    if (this.#witnesses.length > 0) return { verdict: "illegal", ...common };
    return unknown === undefined
      ? { verdict: "ok", ...common }
      : { verdict: "unknown", reason: unknown, ...common };
  }
}

/** Such as `add 5`, or `read -> [1 2]`. */
export function describeWorkload({ f, input, output, outcome }: Operation): string {
  const asked = input === null || input === undefined ? f : `${f} ${shownValue(input)}`;
  if (outcome !== "ok" || output === null || output === undefined) return asked;
  const answered = shownValue(output);
  return answered === shownValue(input) ? asked : `${f} -> ${answered}`;
}

function described(operation: Operation): string {
  const { process, outcome, callIndex } = operation;
  const end = { ok: "", fail: ", and failed", info: ", its outcome unknown" }[outcome];
  return `Process ${process}, event ${callIndex}: ${describeWorkload(operation)}${end}.`;
}

function shownOperation(operation: Operation): WitnessOperation {
  const { process, outcome, callIndex, callNs, returnNs } = operation;
  return {
    process,
    label: describeWorkload(operation),
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved: true,
  };
}

/** The first few, and how many more. */
export function listed(values: readonly unknown[], max = 10): string {
  const more = values.length > max ? `, and ${values.length - max} more` : "";
  return values.slice(0, max).map(shownValue).join(", ") + more;
}

/** Workloads on many objects, as Jepsen's independent ones: each key is judged alone, and one that is wrong is enough. */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult } from "../verdict.ts";

const witnessesMax = 9;
const unknownsMax = 3;

type Check<Options> = (operations: readonly Operation[], options?: Options) => CheckResult;

/** @param check judges the operations of one key */
export function eachKey<Options>(check: Check<Options>): Check<Options> {
  return (operations, options) => {
    const parts = new Map<unknown, Operation[]>();
    for (const operation of operations) {
      const part = parts.get(identity(operation.key));
      if (part) part.push(operation);
      else parts.set(identity(operation.key), [operation]);
    }
    if (parts.size <= 1) return check(operations, options);
    const results = [...parts.values()].map((part) => ({
      key: `key ${shownValue(part[0]?.key)}`,
      ...check(part, options),
    }));
    return together(results, operations.length);
  };
}

function together(
  results: readonly (CheckResult & { readonly key: string })[],
  operations: number,
): CheckResult {
  const wrong = results.filter(({ verdict }) => verdict === "illegal");
  const unknown = results.filter(({ verdict }) => verdict === "unknown");
  const common = {
    model: results[0]?.model ?? "",
    operations,
    witnesses: wrong
      .flatMap(({ key, witnesses }) =>
        witnesses.map((witness) => ({ ...witness, summary: `In ${key}: ${witness.summary}` })),
      )
      .slice(0, witnessesMax),
    notes: [
      `${results.length} keys judged apart, ${wrong.length} of them illegal`,
      ...wrong
        .slice(0, witnessesMax)
        .flatMap(({ key, notes = [] }) => notes.map((note) => `${key}: ${note}`)),
    ],
  };
  if (wrong.length > 0) return { verdict: "illegal", ...common };
  if (unknown.length === 0) return { verdict: "ok", ...common };
  const more = unknown.length > unknownsMax ? `; and ${unknown.length - unknownsMax} more keys` : "";
  const reason = unknown
    .slice(0, unknownsMax)
    .map(({ key, reason }) => `${key}: ${reason}`)
    .join("; ");
  return { verdict: "unknown", reason: reason + more, ...common };
}

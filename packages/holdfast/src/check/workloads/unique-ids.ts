/** Ids that are handed out: no two acknowledged ones are the same. */
import type { Checker } from "../checker.ts";
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult } from "../verdict.ts";
import { eachKey } from "./each-key.ts";
import { WorkloadFindings } from "./findings.ts";

/** Several generators, one for each key, are judged apart. */
export const checkUniqueIds = eachKey(judgeUniqueIds);

function judgeUniqueIds(operations: readonly Operation[]): CheckResult {
  const findings = new WorkloadFindings("unique-ids");
  const givenTo = new Map<unknown, Operation[]>();
  for (const operation of operations) {
    if (operation.outcome !== "ok") continue;
    const id = identity(operation.output);
    const before = givenTo.get(id);
    if (before) before.push(operation);
    else givenTo.set(id, [operation]);
  }
  for (const given of givenTo.values()) {
    const [first] = given;
    if (first && given.length > 1)
      findings.add("duplicate", `${shownValue(first.output)} was handed out ${given.length} times.`, given);
  }
  return findings.result(operations);
}

export const uniqueIdsChecker: Checker = {
  name: "unique-ids",
  family: "workload",
  summary: "Ids are handed out (generate), and no two are the same.",
  functions: ["generate", "next-id"],
  check: checkUniqueIds,
};

/**
 * Long fork: two writes that do not know of each other, and two readers of both keys who disagree about which came
 * first. Every key is written once; a read asks for a group of keys in one transaction.
 */
import type { Checker } from "../checker.ts";
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";
import type { CheckResult } from "../verdict.ts";
import { WorkloadFindings } from "./findings.ts";

type Micro = readonly [word: string, key: unknown, value: unknown];

export function checkLongFork(operations: readonly Operation[]): CheckResult {
  const findings = new WorkloadFindings("long-fork");
  const writes = new Map<unknown, Operation>();
  const groups = new Map<unknown, { operation: Operation; micros: readonly Micro[] }[]>();
  let unclear: string | undefined;
  for (const operation of operations) {
    const micros = (operation.outcome === "ok" ? operation.output : operation.input) as readonly Micro[];
    for (const [word, key] of micros) {
      if (word !== "w" || operation.outcome === "fail") continue;
      if (writes.has(identity(key))) unclear = `${shownValue(key)} was written more than once`;
      writes.set(identity(key), operation);
    }
    const isRead = operation.outcome === "ok" && micros.length > 1 && micros.every(([word]) => word === "r");
    if (!isRead) continue;
    const sorted = [...micros].sort((a, b) => (String(identity(a[1])) < String(identity(b[1])) ? -1 : 1));
    const group = identity(sorted.map(([, key]) => key));
    const same = groups.get(group);
    if (same) same.push({ operation, micros: sorted });
    else groups.set(group, [{ operation, micros: sorted }]);
  }
  for (const reads of groups.values()) forkIn(reads, writes, findings);
  return findings.result(
    operations,
    unclear ?? (groups.size === 0 ? "nobody read several keys at once" : undefined),
  );
}

/**
 * Every key goes from nothing to its value once, so all reads of a group have to lie on one line: sorted by how many
 * keys they saw written, each has to see what the one before it saw. Linear in the reads once sorted.
 */
function forkIn(
  reads: readonly { operation: Operation; micros: readonly Micro[] }[],
  writes: ReadonlyMap<unknown, Operation>,
  findings: WorkloadFindings,
): void {
  const seen = (micros: readonly Micro[]) =>
    micros.filter(([, , value]) => value !== null && value !== undefined);
  const line = [...reads].sort((a, b) => seen(a.micros).length - seen(b.micros).length);
  for (let at = 1; at < line.length; at++) {
    const [a, b] = [line[at - 1], line[at]] as [(typeof line)[number], (typeof line)[number]];
    const onlyIn = (x: typeof a, y: typeof a) => {
      const other = new Set(seen(y.micros).map(([, key]) => identity(key)));
      return seen(x.micros).find(([, key]) => !other.has(identity(key)));
    };
    const [first, second] = [onlyIn(a, b), onlyIn(b, a)];
    if (!first || !second) continue;
    const writer = (micro: Micro) => writes.get(identity(micro[1]));
    const involved = [writer(first), writer(second), a.operation, b.operation].filter(
      (each) => each !== undefined,
    );
    findings.add(
      "long-fork",
      `Process ${a.operation.process} saw the write of ${shownValue(first[1])} without that of ${shownValue(second[1])}, and process ${b.operation.process} the other way round: they disagree about which came first.`,
      involved,
    );
  }
}

function problems(operations: readonly Operation[]): readonly HistoryProblem[] {
  const isMicro = (micro: unknown) =>
    Array.isArray(micro) && (micro[0] === "r" || micro[0] === "w") && micro.length >= 2;
  return operations
    .filter(({ outcome, input, output }) => {
      const value = outcome === "ok" ? output : input;
      return !(Array.isArray(value) && value.every(isMicro));
    })
    .map(({ callIndex, input }) => ({
      problem: `event ${callIndex}: an operation of long-fork is [["w", key, value]] or [["r", key, value], …], got ${shownValue(input)}`,
    }));
}

export const longForkChecker: Checker = {
  name: "long-fork",
  family: "workload",
  summary: "Keys written once and read in groups: no two readers see two writes in different orders.",
  functions: [],
  problems,
  check: checkLongFork,
};

/**
 * A set that only grows. `set-final`: what was acknowledged is in the last read. `set-full`: an element that was seen or
 * acknowledged is not gone in the end; how long it takes until all see it is told. `set-full-fresh`: no later read is
 * without it.
 */
import { systemClock } from "../../clock/index.ts";
import { BudgetMeter } from "../budget.ts";
import type { Checker, CheckOptions } from "../checker.ts";
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";
import type { CheckResult } from "../verdict.ts";
import { eachKey } from "./each-key.ts";
import { listed, WorkloadFindings } from "./findings.ts";

const isRead = ({ f, outcome }: Operation) => f === "read" && outcome === "ok";
/** Where nothing was ever added, stores answer with nothing instead of an empty set. */
const readElements = ({ output }: Operation) => (output ?? []) as readonly unknown[];
const elementsOf = (read: Operation) => new Set(readElements(read).map(identity));

/** Several sets, one for each key, are judged apart. */
export const checkSet = eachKey(judgeSet);

function judgeSet(operations: readonly Operation[]): CheckResult {
  const findings = new WorkloadFindings("set-final");
  const adds = addsOf(operations);
  const final = operations
    .filter(isRead)
    .sort((a, b) => a.returnIndex - b.returnIndex)
    .at(-1);
  if (!final) return findings.result(operations, "nobody read the set at the end");
  if (final.output === null || final.output === undefined)
    return findings.result(operations, "the last read of the set answered nothing, not even an empty set");
  const seen = elementsOf(final);
  const outcome = (element: unknown) => adds.get(element)?.outcome;
  const before = [...adds].filter(([, add]) => add.returnIndex < final.callIndex);
  const lost = before
    .filter(([element, add]) => add.outcome === "ok" && !seen.has(element))
    .map(([, add]) => add);
  const unexpected = readElements(final).filter((element) => !adds.has(identity(element)));
  const aborted = [...seen].filter((element) => outcome(element) === "fail");
  const recovered = [...seen].filter((element) => outcome(element) === "info");
  if (lost.length > 0)
    findings.add(
      "lost",
      `The last read lacks ${lost.length} that were acknowledged: ${listed(lost.map(({ input }) => input))}.`,
      [...lost.slice(0, 8), final],
    );
  if (unexpected.length > 0)
    findings.add(
      "unexpected",
      `The last read has ${unexpected.length} that nobody ever added: ${listed(unexpected)}.`,
      [final],
    );
  if (aborted.length > 0)
    findings.add("aborted", `The last read has ${aborted.length} whose add had failed: ${listed(aborted)}.`, [
      ...aborted.slice(0, 8).flatMap((element) => adds.get(element) ?? []),
      final,
    ]);
  findings.note(`recovered: ${recovered.length} of unknown outcome were in the last read`);
  return findings.result(operations);
}

export interface SetFullOptions extends CheckOptions {
  /** Whether a read may be without an element that was known when it began, as long as later ones have it. Default true. */
  readonly staleAllowed?: boolean;
}

/** Several sets, one for each key, are judged apart. */
export const checkSetFull = eachKey(judgeSetFull);

function judgeSetFull(operations: readonly Operation[], options: SetFullOptions = {}): CheckResult {
  const { staleAllowed = true } = options;
  const findings = new WorkloadFindings(staleAllowed ? "set-full" : "set-full-fresh");
  const meter = new BudgetMeter(options.nowMs ?? systemClock.monotonicMs, options.budget);
  const adds = addsOf(operations);
  const reads = operations.filter(isRead).map((read) => ({ read, seen: elementsOf(read) }));
  const lags: number[] = [];
  let never = 0;
  for (const [element, add] of adds) {
    if (meter.spent() !== undefined) break;
    /** From when on every read that begins has to see it: known once acknowledged, or once a read that saw it ended. */
    const firstSeen = reads
      .filter(({ seen }) => seen.has(element))
      .reduce((at, { read }) => Math.min(at, read.returnIndex), Number.POSITIVE_INFINITY);
    const known = Math.min(add.outcome === "ok" ? add.returnIndex : Number.POSITIVE_INFINITY, firstSeen);
    if (firstSeen === Number.POSITIVE_INFINITY && reads.every(({ read }) => read.callIndex < known)) never++;
    const later = reads.filter(({ read }) => read.callIndex > known);
    const missing = later.filter(({ seen }) => !seen.has(element)).map(({ read }) => read);
    if (add.outcome === "fail" && firstSeen !== Number.POSITIVE_INFINITY)
      findings.add("aborted", `${shownValue(add.input)} was read although its add had failed.`, [
        add,
        ...reads
          .filter(({ seen }) => seen.has(element))
          .slice(0, 2)
          .map(({ read }) => read),
      ]);
    if (missing.length === 0) continue;
    const last = later.at(-1);
    const isLost = last !== undefined && !last.seen.has(element);
    const gap = missing.at(-1) as Operation;
    if (!isLost) {
      lags.push(gap.callNs - (add.outcome === "ok" ? add.returnNs : add.callNs));
      if (staleAllowed) continue;
    }
    findings.add(
      isLost ? "lost" : "stale",
      isLost
        ? `${shownValue(add.input)} was ${add.outcome === "ok" ? "acknowledged" : "read"} and is gone: the last ${missing.length === later.length ? "reads never saw it" : "read is without it"}.`
        : `${shownValue(add.input)} was known before ${missing.length} reads began that did not see it; later ones did.`,
      [add, ...missing.slice(-3)],
    );
  }
  unexpectedIn(reads, adds, findings);
  repeatedIn(reads, findings);
  findings.note(`never read: ${never} of ${adds.size}, because no read began after them`);
  if (lags.length > 0)
    findings.note(
      `stale: ${lags.length}, for up to ${(lags.reduce((a, b) => Math.max(a, b)) / 1e6).toFixed(3)} ms before all reads saw them`,
    );
  return findings.result(
    operations,
    meter.spent() ?? (reads.length === 0 ? "nobody read the set" : undefined),
  );
}

function unexpectedIn(
  reads: readonly { read: Operation; seen: ReadonlySet<unknown> }[],
  adds: ReadonlyMap<unknown, Operation>,
  findings: WorkloadFindings,
): void {
  const told = new Set<unknown>();
  for (const { read, seen } of reads) {
    for (const element of seen) {
      if (adds.has(element) || told.has(element)) continue;
      told.add(element);
      findings.add(
        "unexpected",
        `Process ${read.process} read ${shownValue(element)}, which nobody ever added.`,
        [read],
      );
    }
  }
}

function repeatedIn(
  reads: readonly { read: Operation; seen: ReadonlySet<unknown> }[],
  findings: WorkloadFindings,
): void {
  for (const { read, seen } of reads) {
    const elements = readElements(read);
    if (elements.length === seen.size) continue;
    const once = new Set<unknown>();
    const repeated = elements.filter((element) => {
      const name = identity(element);
      const again = once.has(name);
      once.add(name);
      return again;
    });
    findings.add(
      "duplicated",
      `Process ${read.process} read ${listed(repeated)} more than once in one set.`,
      [read],
    );
  }
}

/** By element; of several adds of one the one that says most. */
function addsOf(operations: readonly Operation[]): ReadonlyMap<unknown, Operation> {
  const rank = { ok: 2, info: 1, fail: 0 } as const;
  const adds = new Map<unknown, Operation>();
  for (const operation of operations) {
    if (operation.f !== "add") continue;
    const element = identity(operation.input);
    const before = adds.get(element);
    if (!before || rank[operation.outcome] > rank[before.outcome]) adds.set(element, operation);
  }
  return adds;
}

function problems(operations: readonly Operation[]): readonly HistoryProblem[] {
  return operations
    .filter((operation) => isRead(operation) && !Array.isArray(operation.output ?? []))
    .map(({ callIndex, output }) => ({
      problem: `event ${callIndex}: a read of a set answers with a list of its elements, got ${shownValue(output)}`,
    }));
}

const common = { family: "workload", functions: ["add", "read"], problems } as const;

export const setCheckers: readonly Checker[] = [
  {
    ...common,
    name: "set-final",
    summary:
      "Elements are added, and the last read has all that were acknowledged and none that nobody added.",
    check: checkSet,
  },
  {
    ...common,
    name: "set-full",
    summary:
      "Elements are added, and none that was acknowledged or seen is gone in the end; reads may be stale.",
    check: checkSetFull,
  },
  {
    ...common,
    name: "set-full-fresh",
    summary: "Elements are added, and every read has all that were acknowledged or seen before it began.",
    check: (operations, options) => checkSetFull(operations, { ...options, staleAllowed: false }),
  },
];

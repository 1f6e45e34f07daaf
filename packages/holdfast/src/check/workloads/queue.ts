/**
 * A queue drained to its end: whatever was acknowledged was delivered, is a dead letter, or is still pending; and
 * nothing comes out that nobody put in. Order does not matter here.
 */
import type { Checker, CheckOptions } from "../checker.ts";
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { CheckResult } from "../verdict.ts";
import { eachKey } from "./each-key.ts";
import { listed, WorkloadFindings } from "./findings.ts";

export interface TotalQueueOptions extends CheckOptions {
  /** Whether a message may be delivered again: at least once, as most queues promise. Default true. */
  readonly redeliveryAllowed?: boolean;
}

/** Operations that take one message or a list of them: to work on, as dead letters, or to see what is left. */
const takes = ["dequeue", "drain", "dead-letters", "pending"];

/** Several queues, one for each key, are judged apart. */
export const checkTotalQueue = eachKey(judgeTotalQueue);

function judgeTotalQueue(operations: readonly Operation[], options: TotalQueueOptions = {}): CheckResult {
  const { redeliveryAllowed = true } = options;
  const findings = new WorkloadFindings(redeliveryAllowed ? "total-queue" : "total-queue-once");
  const enqueues = new Map<unknown, Operation[]>();
  const outs = new Map<unknown, Operation[]>();
  const unfinished = operations.filter(({ f, outcome }) => takes.includes(f) && outcome === "info");
  for (const operation of operations) {
    if (operation.f === "enqueue") push(enqueues, identity(operation.input), operation);
    else if (operation.outcome === "ok")
      for (const value of messagesOf(operation)) push(outs, identity(value), operation);
  }
  const lost: Operation[] = [];
  let recovered = 0;
  let redelivered = 0;
  for (const [message, puts] of enqueues) {
    const out = outs.get(message) ?? [];
    const acknowledged = puts.filter(({ outcome }) => outcome === "ok");
    const unknown = puts.filter(({ outcome }) => outcome === "info");
    if (out.length < acknowledged.length) lost.push(...acknowledged.slice(out.length));
    if (out.length > acknowledged.length)
      recovered += Math.min(unknown.length, out.length - acknowledged.length);
    const value = shownValue(puts[0]?.input);
    if (out.length > 0 && acknowledged.length + unknown.length === 0)
      findings.add("unexpected", `${value} came out although its enqueue had failed.`, [...puts, ...out]);
    else if (out.length > acknowledged.length + unknown.length && redeliveryAllowed) redelivered++;
    else if (out.length > acknowledged.length + unknown.length)
      findings.add(
        "duplicated",
        `${value} was put in ${acknowledged.length + unknown.length === 1 ? "once" : `at most ${acknowledged.length + unknown.length} times`} and came out ${out.length} times.`,
        [...puts, ...out],
      );
  }
  for (const [message, out] of outs)
    if (!enqueues.has(message)) findings.add("unexpected", `A message came out that nobody put in.`, out);
  // A take of unknown outcome may have taken one message each: so many may be missing without being lost.
  const excused = unfinished.some(({ f }) => f !== "dequeue")
    ? lost.length
    : Math.min(lost.length, unfinished.length);
  if (lost.length > excused)
    findings.add(
      "lost",
      `${lost.length} acknowledged messages were never delivered, nor are they dead letters or pending: ${listed(lost.map(({ input }) => input))}.`,
      [...lost.slice(0, 8), ...unfinished.slice(0, 4)],
      excused > 0 ? [`At most ${excused} of them may have gone to a dequeue of unknown outcome.`] : [],
    );
  findings.note(`recovered: ${recovered} of unknown outcome came out`);
  if (redeliveryAllowed)
    findings.note(`redelivered: ${redelivered} came out more often than they were put in`);
  return findings.result(
    operations,
    lost.length > 0
      ? `${lost.length} acknowledged messages did not come out, but takes of unknown outcome may have got them: ${listed(lost.map(({ input }) => input))}`
      : undefined,
  );
}

function messagesOf({ f, output }: Operation): readonly unknown[] {
  if (output === null || output === undefined) return [];
  return f !== "dequeue" && Array.isArray(output) ? output : [output];
}

function push<T>(map: Map<unknown, T[]>, key: unknown, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

const common = { family: "workload", functions: ["enqueue", ...takes] } as const;

export const totalQueueCheckers: readonly Checker[] = [
  {
    ...common,
    name: "total-queue",
    summary:
      "A queue drained to its end: acknowledged = delivered, dead letters and pending, at least once; nothing new.",
    check: checkTotalQueue,
  },
  {
    ...common,
    name: "total-queue-once",
    summary: "As total-queue, and nothing comes out twice.",
    check: (operations, options) => checkTotalQueue(operations, { ...options, redeliveryAllowed: false }),
  },
];

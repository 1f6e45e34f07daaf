/**
 * Work that is handed out in attempts, as queues and topics do it: whatever was acknowledged was delivered, is a dead
 * letter or is pending; it comes again only under a higher attempt; an attempt that another has replaced completes
 * nothing; an effect happens once. `delivery-in-order`: and messages of one key go in the order of their acknowledgement.
 *
 * A history has three parts. `enqueue` or `publish` puts a message in, under its order key when it has one. `attempt`
 * is what a worker did: `{ attempt, messages }`, invoked when its handler begins; `ok` when the store took its
 * completion, `fail` when it failed, was given back or was refused, `info` when its worker died or nobody knows. At the
 * end `effects`, `done`, `dead-letters` and `pending` list what is there.
 */
import type { Checker } from "../checker.ts";
import { shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HistoryProblem } from "../history/history-error.ts";
import type { CheckResult } from "../verdict.ts";
import {
  attemptOrder,
  type DeliveryFacts,
  type DeliveryMessage,
  deliveryFacts,
  deliveryFunctions,
  deliveryProblems,
} from "./delivery-facts.ts";
import { judgeDeliveryOrder } from "./delivery-order.ts";
import { listed, WorkloadFindings } from "./findings.ts";

export interface DeliveryOptions {
  /** Whether messages of one key have to go in order. Default false. */
  readonly inOrder?: boolean;
  /**
   * Whether a completion that was taken is durable, so that nothing is handed out after it. Default false: a store may
   * forget it in a crash, and the message comes again under a higher attempt.
   */
  readonly completionIsFinal?: boolean;
}

export function checkDelivery(operations: readonly Operation[], options: DeliveryOptions = {}): CheckResult {
  const { inOrder = false, completionIsFinal = false } = options;
  const findings = new WorkloadFindings(
    inOrder ? "delivery-in-order" : completionIsFinal ? "delivery-final" : "delivery",
  );
  const facts = deliveryFacts(operations);
  const lost: DeliveryMessage[] = [];
  let redelivered = 0;
  let again = 0;
  for (const message of facts.messages.values()) {
    judgeOrigin(message, findings);
    if (judgeAttempts(message, findings, completionIsFinal)) again++;
    judgeEffects(message, facts, findings);
    if (isLost(message)) lost.push(message);
    if (message.attempts.length > 1) redelivered++;
  }
  const excuse = judgeLost(lost, facts, findings);
  if (inOrder) judgeDeliveryOrder(facts, findings);
  findings.note(`handed out more than once: ${redelivered}`);
  findings.note(`of these after they had been completed: ${again}`);
  return findings.result(operations, excuse);
}

function judgeOrigin({ id, puts, places, attempts }: DeliveryMessage, findings: WorkloadFindings): void {
  if (places.size === 0 && attempts.length === 0) return;
  if (puts.some(({ outcome }) => outcome !== "fail")) return;
  const seen = [...attempts, ...places.values()].slice(0, 3);
  const why = puts.length === 0 ? "nobody put it in" : "putting it in had failed";
  findings.add("unexpected", `${shownValue(id)} came out although ${why}.`, [...puts, ...seen]);
}

/**
 * Duplicates only under a higher attempt; what another attempt has replaced cannot complete.
 *
 * @returns whether it was handed out after its completion
 */
function judgeAttempts(
  { id, attempts }: DeliveryMessage,
  findings: WorkloadFindings,
  completionIsFinal: boolean,
): boolean {
  let again = false;
  const name = shownValue(id);
  const sorted = [...attempts].sort(attemptOrder);
  for (const [at, one] of sorted.entries()) {
    const next = sorted[at + 1];
    if (next && attemptOrder(one, next) === 0)
      findings.add("same-attempt-twice", `${name} was handed out twice under one attempt.`, [one, next]);
  }
  const highest = sorted.at(-1);
  for (const one of sorted) {
    if (one.outcome !== "ok" || !highest || attemptOrder(one, highest) >= 0) continue;
    const over = sorted.find((other) => attemptOrder(other, one) > 0 && other.callIndex < one.returnIndex);
    if (over)
      findings.add(
        "stale-completion",
        `${name} was completed by an attempt that a higher one had replaced.`,
        [one, over],
      );
    else again = true;
    if (!over && completionIsFinal)
      findings.add("again-after-done", `${name} was completed, and handed out again afterwards.`, [
        one,
        highest,
      ]);
  }
  return again;
}

function judgeEffects(message: DeliveryMessage, facts: DeliveryFacts, findings: WorkloadFindings): void {
  const { id, effects, attempts, places } = message;
  const read = facts.reads.get("effects");
  if (!read) return;
  if (effects.length > 1)
    findings.add("effect-twice", `${shownValue(id)} had its effect ${effects.length} times.`, [
      ...attempts,
      read,
    ]);
  if (effects.length > 0) return;
  const completed = attempts.find(
    ({ outcome, returnIndex }) => outcome === "ok" && returnIndex < read.callIndex,
  );
  if (completed || places.has("done"))
    findings.add("effect-missing", `${shownValue(id)} is done, and had no effect.`, [...attempts, read]);
}

/** Delivered, a dead letter, or pending: whatever was acknowledged is one of these. */
function isLost({ puts, attempts, places }: DeliveryMessage): boolean {
  if (!puts.some(({ outcome }) => outcome === "ok")) return false;
  return places.size === 0 && !attempts.some(({ outcome }) => outcome === "ok");
}

/** @returns why nothing can be said of them, when that is so */
function judgeLost(
  lost: readonly DeliveryMessage[],
  { reads }: DeliveryFacts,
  findings: WorkloadFindings,
): string | undefined {
  if (lost.length === 0) return undefined;
  const names = listed(lost.map(({ id }) => id));
  if (!reads.has("pending"))
    return `nobody read at the end what is pending, so nothing says where these are: ${names}`;
  // Where nobody read what is done, an attempt of unknown outcome may have completed it.
  const told = reads.has("done") || reads.has("effects");
  const certain = lost.filter(({ attempts }) => told || !attempts.some(({ outcome }) => outcome === "info"));
  if (certain.length === 0)
    return `attempts of unknown outcome may have completed these, and nobody read what is done: ${names}`;
  findings.add(
    "lost",
    `${certain.length} acknowledged messages were never delivered, nor are they dead letters or pending: ${listed(certain.map(({ id }) => id))}.`,
    [...certain.slice(0, 4).flatMap(({ puts, attempts }) => [...puts, ...attempts]), ...reads.values()],
  );
  return undefined;
}

const common = {
  family: "workload",
  functions: deliveryFunctions,
  problems: (operations: readonly Operation[]): readonly HistoryProblem[] => deliveryProblems(operations),
} as const;

export const deliveryCheckers: readonly Checker[] = [
  {
    ...common,
    name: "delivery",
    summary:
      "Acknowledged = delivered, dead letters and pending; again only under a higher attempt; a replaced attempt completes nothing; effects once.",
    check: (operations) => checkDelivery(operations),
  },
  {
    ...common,
    name: "delivery-final",
    summary: "As delivery, and what was completed is not handed out again, as where completions are durable.",
    check: (operations) => checkDelivery(operations, { completionIsFinal: true }),
  },
  {
    ...common,
    name: "delivery-in-order",
    summary: "As delivery, and messages of one key go in the order in which they were acknowledged.",
    check: (operations) => checkDelivery(operations, { inOrder: true }),
  },
];

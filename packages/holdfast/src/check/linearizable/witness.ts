/** Why a history is not linearizable, for people: the operations that contradict each other, and how far one gets. */

import { shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { Witness, WitnessEdge, WitnessOperation } from "../verdict.ts";
import { describeOperation, showState } from "./describe.ts";
import type { AnyModel } from "./model.ts";
import type { Contradiction } from "./search.ts";
import type { Core } from "./shrink.ts";

const aroundMax = 8;
const listedMax = 6;

export function linearizabilityWitness(model: AnyModel, contradiction: Contradiction, core: Core): Witness {
  const { blocked, order, metIn } = contradiction;
  const { involved, around, starts, fromStart, minimal } = core;
  const words = (operation: Operation) =>
    `${describeOperation(model, operation)} by process ${operation.process}`;
  const shown = [...involved, ...around.slice(-aroundMax)].sort((a, b) => a.callIndex - b.callIndex);
  const isInvolved = new Set(involved);
  if (contradiction.cause === "value") return valueWitness(model, blocked);
  const states = listed(starts.map((state) => showState(model, state)));
  const of = blocked.key === undefined ? "" : ` of ${shownValue(blocked.key)}`;
  const steps = [
    fromStart
      ? `At the beginning the state${of} is ${states}.`
      : `Before these operations the state${of} can only have been ${states}: no order of what came earlier leads to another.`,
    ...involved.map((operation) => `${words(operation)}: ${spanOf(operation)}.`),
    `The longest order that works ${order.length === 0 ? "is empty" : `ends with ${lastOf(order.map(words))}`}.`,
    metIn.length === 0
      ? `No order lets ${words(blocked)} take effect before event ${blocked.returnIndex}.`
      : `Then ${words(blocked)} has to take effect before event ${blocked.returnIndex}, and cannot: the state is ${listed(metIn.map((state) => showState(model, state)))}.`,
  ];
  if (!minimal)
    steps.push("This was not made smaller: time, or the length of the history, did not allow it.");
  const count = involved.length;
  return {
    anomaly: "nonlinearizable",
    summary:
      count === 1
        ? `${capital(words(blocked))} cannot have ended as it did in any order.`
        : `${count} operations${of} cannot all have ended as they did, in any order that respects real time: ${involved
            .slice(0, listedMax)
            .map((operation) => describeOperation(model, operation))
            .join(", ")}${count > listedMax ? ", …" : ""}.`,
    steps,
    operations: shown.map((operation) => witnessOperation(model, operation, isInvolved.has(operation))),
    edges: realtimeEdges(shown, isInvolved),
  };
}

/** It answered what was never there, so that no order has to be looked at. */
function valueWitness(model: AnyModel, blocked: Operation): Witness {
  const words = `${describeOperation(model, blocked)} by process ${blocked.process}`;
  return {
    anomaly: "nonlinearizable",
    summary: `${capital(words)} saw a value that was not there at the beginning and that nobody wrote.`,
    steps: [
      `${words}: ${spanOf(blocked)}.`,
      "No operation that took effect, or may have, leaves that value; so no order can explain it.",
    ],
    operations: [witnessOperation(model, blocked, true)],
    edges: [],
  };
}

export function witnessOperation(model: AnyModel, operation: Operation, involved: boolean): WitnessOperation {
  const { process, outcome, callIndex, callNs, returnNs } = operation;
  return {
    process,
    label: describeOperation(model, operation),
    outcome,
    callIndex,
    startNs: callNs,
    ...(Number.isFinite(returnNs) ? { endNs: returnNs } : {}),
    involved,
  };
}

/** Of the involved ones, which ended before which began; what follows from two others is left out. */
function realtimeEdges(shown: readonly Operation[], isInvolved: ReadonlySet<Operation>): WitnessEdge[] {
  const before = (a: Operation, b: Operation) =>
    isInvolved.has(a) && isInvolved.has(b) && a.returnIndex < b.callIndex;
  const edges: WitnessEdge[] = [];
  shown.forEach((a, from) => {
    shown.forEach((b, to) => {
      if (!before(a, b) || shown.some((c) => before(a, c) && before(c, b))) return;
      const why = `process ${a.process} had its answer before process ${b.process} asked`;
      edges.push({ from, to, kind: "realtime", why });
    });
  });
  return edges;
}

function spanOf({ callIndex, returnIndex, outcome }: Operation): string {
  if (outcome === "info") return `invoked at event ${callIndex}, its outcome unknown`;
  return `from event ${callIndex} to event ${returnIndex}`;
}

function lastOf(words: readonly string[]): string {
  const last = words.slice(-listedMax);
  return `${words.length > last.length ? "… " : ""}${last.join(", then ")}`;
}

function listed(words: readonly string[]): string {
  const some = words.slice(0, listedMax);
  if (words.length > listedMax) return `one of ${words.length}: ${some.join(", ")}, …`;
  if (some.length <= 1) return some.join("");
  return `${some.slice(0, -1).join(", ")} or ${some.at(-1)}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

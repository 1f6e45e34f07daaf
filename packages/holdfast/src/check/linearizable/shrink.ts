/**
 * Makes a contradiction small. Only steps that keep it a contradiction are taken: an operation's end is forgotten
 * (then it may have happened at any later time, or never), or everything before some moment is forgotten (then the
 * object may have been in any state that any order leads to). What is left contradicts itself, whatever else was.
 */
import { BudgetMeter } from "../budget.ts";
import type { Operation } from "../history/event.ts";
import type { AnyModel } from "./model.ts";
import { type Contradiction, explain } from "./search.ts";

export interface Core {
  /** The operations whose outcomes cannot all be true. */
  readonly involved: readonly Operation[];
  /** Others at the same time, some of which might have helped and do not. */
  readonly around: readonly Operation[];
  /** States in which the object may have been before all of these. */
  readonly starts: readonly unknown[];
  /** Whether `starts` is how the object begins, and not what operations before made of it. */
  readonly fromStart: boolean;
  /** Whether none of `involved` can be left out. */
  readonly minimal: boolean;
}

/** Milliseconds that may be spent on a smaller picture of what is certain already. */
const shrinkMsMax = 5_000;
/** Operations times starting states that a window may have, and operations of a whole that is shrunk. */
const windowCostMax = 4_000_000;
const wholeMax = 2_000;

export function shrink(
  model: AnyModel,
  operations: readonly Operation[],
  { blocked, states, cause }: Contradiction,
  nowMs: () => number,
): Core {
  if (cause === "value")
    return { involved: [blocked], around: [], starts: [], fromStart: true, minimal: true };
  const meter = new BudgetMeter(nowMs, { timeMs: shrinkMsMax, memoryBytes: 256 << 20 });
  const endIndex = blocked.returnIndex;
  const prefix = operations
    .filter(({ callIndex }) => callIndex < endIndex)
    .map((operation) => (operation.returnIndex > endIndex ? forgetEnd(operation) : operation));
  const stillIllegal = (some: readonly Operation[], starts: readonly unknown[]) =>
    explain(model, some, meter, starts).verdict === "illegal";

  const found = cause === "order" ? smallestWindow(prefix, states, stillIllegal) : undefined;
  const fromStart = found === undefined;
  const starts = found ? states : [model.init()];
  const window = found ?? prefix;
  if (cause === "unexplained" || (fromStart && prefix.length > wholeMax)) {
    const last = prefix.slice(-12);
    return {
      involved: [blocked],
      around: last.filter((o) => o !== blocked),
      starts,
      fromStart,
      minimal: false,
    };
  }
  let core = [...window];
  let tried = true;
  for (let i = core.length - 1; i >= 0; i--) {
    const operation = core[i] as Operation;
    if (operation.outcome !== "ok") continue;
    if (meter.spent() !== undefined) {
      tried = false;
      break;
    }
    const without = [...core];
    without[i] = forgetEnd(operation);
    if (stillIllegal(without, starts)) core = without;
  }
  const kept = new Set(core.filter(({ outcome }) => outcome === "ok").map(({ callIndex }) => callIndex));
  const involved = operations.filter(({ callIndex }) => kept.has(callIndex));
  const firstIndex = Math.min(...involved.map(({ callIndex }) => callIndex));
  const around = operations.filter(
    ({ callIndex, returnIndex }) => !kept.has(callIndex) && callIndex < endIndex && returnIndex > firstIndex,
  );
  return { involved, around, starts, fromStart, minimal: tried };
}

/** The last few operations, when they are a contradiction from every state; two, four, eight and so on of them. */
function smallestWindow(
  prefix: readonly Operation[],
  states: readonly unknown[],
  stillIllegal: (operations: readonly Operation[], starts: readonly unknown[]) => boolean,
): readonly Operation[] | undefined {
  const ended = prefix.filter(({ outcome }) => outcome === "ok");
  for (let size = 2; size < ended.length && size * states.length <= windowCostMax; size *= 2) {
    const fromIndex = (ended[ended.length - size] as Operation).callIndex;
    const window = prefix
      .filter(({ returnIndex }) => returnIndex > fromIndex)
      .map((operation) => (operation.callIndex < fromIndex ? forgetEnd(operation) : operation));
    if (stillIllegal(window, states)) return window;
  }
  return undefined;
}

export function forgetEnd(operation: Operation): Operation {
  return {
    ...operation,
    outcome: "info",
    output: undefined,
    returnIndex: Number.POSITIVE_INFINITY,
    returnNs: Number.POSITIVE_INFINITY,
  };
}

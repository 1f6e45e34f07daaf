/**
 * The search for one order that every process agrees with. Real time does not count, so at each moment the next
 * operation of any process may come; and because objects cannot be judged apart, it is over all of them at once.
 * The problem is NP-hard: large histories that are not nearly in order end with the budget.
 */
import type { BudgetMeter } from "../budget.ts";
import type { Operation } from "../history/event.ts";
import { ConfigMemo, mix } from "../linearizable/config-memo.ts";
import { type AnyModel, illegal } from "../linearizable/model.ts";
import { StateTable } from "../linearizable/state-table.ts";

export type SequentialResult =
  | { readonly verdict: "ok" }
  | { readonly verdict: "unknown"; readonly reason: string }
  | {
      readonly verdict: "illegal";
      /** One of the longest orders that work. */
      readonly order: readonly Operation[];
      /** What each process would have to do next, after it. */
      readonly next: readonly Operation[];
      readonly state: unknown;
    };

const noWords = new Int32Array(0);
/** Operations of unknown outcome are tried after all others. */
const unknownLast = 2 ** 40;

/** @param model over all objects of the operations */
export function searchSequential(
  model: AnyModel,
  operations: readonly Operation[],
  meter: BudgetMeter,
): SequentialResult {
  const lanes = lanesOf(model, operations);
  const keep = (bytes: number) => meter.keep(bytes);
  const memo = new ConfigMemo(keep);
  const table = new StateTable(model, keep);
  const positions = new Int32Array(lanes.length);
  const order: number[] = [];
  const statesBefore: number[] = [];
  const forced: boolean[] = [];
  let state = table.number(model.init());
  let hash = 0;
  let left = lanes.reduce((sum, lane) => sum + lane.filter(({ outcome }) => outcome === "ok").length, 0);
  let best = { depth: -1, order: [] as number[], positions: Int32Array.from(positions), state };

  const upcoming = (lane: number) => lanes[lane]?.[positions[lane] as number];
  const move = (lane: number, by: 1 | -1) => {
    const position = positions[lane] as number;
    const cell = by === 1 ? position : position - 1;
    hash ^= mix(Math.imul(lane + 1, 0x01000193) ^ cell);
    positions[lane] = position + by;
    if (lanes[lane]?.[cell]?.outcome === "ok") left -= by;
  };
  const push = (lane: number, after: number, isForced: boolean) => {
    order.push(lane);
    statesBefore.push(state);
    forced.push(isForced);
    state = after;
    move(lane, 1);
  };
  const pop = (): number => {
    const lane = order.pop() as number;
    state = statesBefore.pop() as number;
    forced.pop();
    move(lane, -1);
    return lane;
  };
  /** Lets every observation that can take effect do so. */
  const observe = () => {
    for (let lane = 0; lane < lanes.length; lane++) {
      const operation = upcoming(lane);
      if (operation?.outcome !== "ok" || !model.observes?.(operation)) continue;
      if (model.step(table.states[state], operation) === illegal) continue;
      push(lane, state, true);
      lane--;
    }
  };
  const rank = ({ outcome, callIndex }: Operation) =>
    outcome === "ok" ? callIndex : callIndex + unknownLast;
  /** @returns whether one of the choices ranked above `after` could be taken */
  const choose = (after: number): boolean => {
    for (let tried = after; ; ) {
      let lane = -1;
      let lowest = Number.POSITIVE_INFINITY;
      for (let other = 0; other < lanes.length; other++) {
        const operation = upcoming(other);
        if (!operation) continue;
        const ranked = rank(operation);
        if (ranked > tried && ranked < lowest) {
          lowest = ranked;
          lane = other;
        }
      }
      if (lane === -1) return false;
      tried = lowest;
      const operation = upcoming(lane) as Operation;
      const next = model.step(table.states[state], operation);
      if (next === illegal) continue;
      const number = table.number(next);
      // Without an effect an unknown one may as well not have happened.
      if (operation.outcome !== "ok" && number === state) continue;
      push(lane, number, false);
      if (memo.add(hash, state, positions, 0, lanes.length - 1, noWords, -1)) return true;
      pop();
    }
  };

  try {
    observe();
    let after = -1;
    while (left > 0) {
      const spent = meter.spent();
      if (spent !== undefined) return { verdict: "unknown", reason: spent };
      if (choose(after)) {
        observe();
        after = -1;
        continue;
      }
      if (order.length > best.depth)
        best = { depth: order.length, order: [...order], positions: Int32Array.from(positions), state };
      for (;;) {
        if (order.length === 0) return contradiction();
        const isForced = forced[forced.length - 1];
        const lane = pop();
        if (isForced) continue;
        after = rank(upcoming(lane) as Operation);
        break;
      }
    }
    return { verdict: "ok" };
  } finally {
    memo.release();
    table.release();
  }

  function contradiction(): SequentialResult {
    const at = new Int32Array(lanes.length);
    const placed = best.order.map((lane) => lanes[lane]?.[(at[lane] as number)++ as number] as Operation);
    const next = lanes.flatMap((lane, i) => lane[best.positions[i] as number] ?? []);
    return { verdict: "illegal", order: placed, next, state: table.states[best.state] };
  }
}

/** The operations of each process. What failed never happened, and an observation nobody saw says nothing. */
function lanesOf(model: AnyModel, operations: readonly Operation[]): Operation[][] {
  const lanes = new Map<number, Operation[]>();
  for (const operation of operations) {
    const { outcome, process } = operation;
    if (outcome === "fail" || (outcome === "info" && model.observes?.(operation))) continue;
    const lane = lanes.get(process);
    if (lane) lane.push(operation);
    else lanes.set(process, [operation]);
  }
  return [...lanes.values()];
}

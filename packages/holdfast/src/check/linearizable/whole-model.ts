/** Many objects as one: what is needed where a history cannot be judged object by object. */
import { identity, shownValue } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import { type AnyModel, illegal, type Model } from "./model.ts";
import { StateTable } from "./state-table.ts";

/** The state of each object, as its number in a table of states that all objects share. */
type Whole = readonly number[];

/** @param operations all that the model will ever be asked about */
export function wholeModel(model: AnyModel, operations: readonly Operation[]): AnyModel {
  const names = new Map<unknown, number>();
  const shown: string[] = [];
  const nameOf = (operation: Operation) =>
    identity(model.partition ? model.partition(operation) : operation.key);
  for (const operation of operations) {
    const name = nameOf(operation);
    if (names.has(name)) continue;
    names.set(name, names.size);
    shown.push(shownValue(operation.key));
  }
  if (names.size <= 1) return model;
  const table = new StateTable(model, () => {});
  const whole: Model<Whole> = {
    ...model,
    init: () => new Array<number>(names.size).fill(table.number(model.init())),
    step(state, operation) {
      const at = names.get(nameOf(operation)) as number;
      const before = table.states[state[at] as number];
      const after = model.step(before, operation);
      if (after === illegal) return illegal;
      const number = after === before ? state[at] : table.number(after);
      if (number === state[at]) return state;
      const next = state.slice();
      next[at] = number as number;
      return next;
    },
    key: (state) => state.join(),
    partition: () => null,
    objectOf: nameOf,
    // What is seen of one object says nothing about another.
    relevant: (all) => all,
    show: (state) =>
      state
        .map(
          (number, at) =>
            `${shown[at]}: ${model.show?.(table.states[number]) ?? shownValue(table.states[number])}`,
        )
        .join(", "),
  };
  return whole;
}

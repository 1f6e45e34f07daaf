/** A set: `add`, `remove`, `contains`, and `read` of all of it. */
import { identity, shownValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";
import { withoutUnseen } from "./relevant.ts";

type Elements = ReadonlyMap<unknown, unknown>;

const nothing: Elements = new Map();

export const setModel: Model<Elements> = {
  name: "set",
  summary:
    "A set: a read returns exactly what was added and not removed; `contains` says whether one element is there.",
  functions: ["add", "remove", "contains", "read"],
  init: () => nothing,
  step(state, { f, input, output, outcome }: Operation) {
    const element = identity(input);
    switch (f) {
      case "add":
        return state.has(element) ? state : new Map(state).set(element, input);
      case "remove": {
        if (!state.has(element)) return state;
        const rest = new Map(state);
        rest.delete(element);
        return rest;
      }
      case "contains":
        return outcome !== "ok" || output === state.has(element) ? state : illegal;
      default:
        return outcome !== "ok" || isRead(output, state) ? state : illegal;
    }
  },
  key: (state) =>
    [...state.keys()]
      .map((element) => `${typeof element}${String(element)}`)
      .sort()
      .join("\u0001"),
  observes: ({ f }) => f === "contains" || f === "read",
  relevant(operations) {
    const seen = new Set<unknown>();
    for (const { f, input, output, outcome } of operations) {
      if (outcome !== "ok") continue;
      if (f === "contains" && output === true) seen.add(identity(input));
      if (f === "read" && Array.isArray(output)) for (const element of output) seen.add(identity(element));
    }
    return withoutUnseen(operations, ({ f, input }) => f === "add" && !seen.has(identity(input)));
  },
  describe: ({ f, input, output, outcome }) => {
    if (outcome !== "ok" || f === "add" || f === "remove") return `${f} ${shownValue(input)}`;
    return f === "contains"
      ? `contains ${shownValue(input)} -> ${shownValue(output)}`
      : `read -> ${shownValue(output)}`;
  },
  show: (state) => `{${[...state.values()].map(shownValue).join(" ")}}`,
};

function isRead(output: unknown, state: Elements): boolean {
  if (output === null || output === undefined) return state.size === 0;
  if (!Array.isArray(output)) return false;
  return output.length === state.size && output.every((element) => state.has(identity(element)));
}

/** A number: `add` to it (`increment` and `decrement` by one, when no amount is given), and `read` it. */

import { shownValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";

export const counterModel: Model<number> = {
  name: "counter",
  summary: "A counter: a read returns the sum of everything added before it.",
  functions: ["add", "increment", "decrement", "read"],
  init: () => 0,
  step(state, { f, input, output, outcome }: Operation) {
    if (f === "read") return outcome !== "ok" || Number(output) === state ? state : illegal;
    const amount = input === null || input === undefined ? 1 : Number(input);
    return f === "decrement" ? state - amount : state + amount;
  },
  key: (state) => state,
  observes: ({ f }) => f === "read",
  describe: ({ f, input, output, outcome }) => {
    if (f !== "read") return input === null ? f : `${f} ${shownValue(input)}`;
    return outcome === "ok" ? `read -> ${shownValue(output)}` : f;
  },
};

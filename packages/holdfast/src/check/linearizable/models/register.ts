/** One value: write it, read it, and change it if it is what one believes (compare-and-set). */
import { identity, sameValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";
import { withoutUnseen } from "./relevant.ts";

/** @param initial the value before the first write */
export function registerModel(initial: unknown = null): Model<unknown> {
  return {
    name: "register",
    summary: "A register: a read returns the last value written.",
    functions: ["read", "write", "cas"],
    init: () => initial,
    step: stepRegister,
    key: identity,
    observes: ({ f }) => f === "read",
    values: () => ({
      initial,
      needs: ({ f, input, output }) => {
        if (f === "read") return identity(output);
        return f === "cas" ? identity((input as [unknown, unknown])[0]) : undefined;
      },
      leaves: ({ f, input }) => {
        if (f === "read") return undefined;
        return identity(f === "cas" ? (input as [unknown, unknown])[1] : input);
      },
    }),
    relevant(operations) {
      const seen = new Set<unknown>();
      for (const { f, input, output, outcome } of operations) {
        if (f === "read" && outcome === "ok") seen.add(identity(output));
        if (f === "cas") seen.add(identity((input as [unknown, unknown])[0]));
      }
      const made = ({ f, input }: Operation) => (f === "cas" ? (input as [unknown, unknown])[1] : input);
      return withoutUnseen(operations, (operation) => !seen.has(identity(made(operation))));
    },
  };
}

/** @param initial the value before the first write */
export function casRegisterModel(initial: unknown = null): Model<unknown> {
  return {
    ...registerModel(initial),
    name: "cas-register",
    summary:
      "A register with compare-and-set: `cas [old new]` sets the new value if the old one is there, and fails otherwise.",
  };
}

function stepRegister(state: unknown, { f, input, output, outcome }: Operation): unknown {
  if (f === "read") return outcome !== "ok" || sameValue(output, state) ? state : illegal;
  if (f === "write") return input;
  const [old, next] = input as [unknown, unknown];
  if (sameValue(old, state)) return next;
  // Unknown: it may have come, and found something else.
  return outcome === "ok" ? illegal : state;
}

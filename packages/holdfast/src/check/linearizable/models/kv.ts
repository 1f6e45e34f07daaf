/** A value for each key: `get`, `put`, `append` (to a text), `cas` and `delete`. */
import { identity, sameValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";
import { withoutUnseen } from "./relevant.ts";

export const kvModel: Model<unknown> = {
  name: "kv",
  summary: "A key-value store: a get returns what was last put for its key, with everything appended since.",
  functions: ["get", "read", "put", "write", "append", "cas", "delete"],
  init: () => null,
  step(state, { f, input, output, outcome }: Operation) {
    switch (f) {
      case "get":
      case "read":
        return outcome !== "ok" || isRead(output, state) ? state : illegal;
      case "put":
      case "write":
        return input;
      case "append":
        return state === null ? input : `${state}${input}`;
      case "delete":
        return null;
      default: {
        const [old, next] = input as [unknown, unknown];
        if (sameValue(old, state)) return next;
        return outcome === "ok" ? illegal : state;
      }
    }
  },
  key: identity,
  observes: ({ f }) => f === "get" || f === "read",
  values(operations) {
    if (operations.some(({ f, output }) => f === "append" || f === "cas" || output === "")) return undefined;
    const isRead = (f: string) => f === "get" || f === "read";
    return {
      initial: null,
      needs: ({ f, output }) => (isRead(f) ? identity(output) : undefined),
      leaves: ({ f, input }) => (isRead(f) ? undefined : identity(f === "delete" ? null : input)),
    };
  },
  relevant(operations) {
    if (operations.some(({ f }) => f === "cas")) return operations;
    const seen = new Set<unknown>();
    for (const { f, output, outcome } of operations)
      if (outcome === "ok" && (f === "get" || f === "read")) seen.add(identity(output));
    // Whatever is appended to, or put before something is appended, stays a part of the text.
    const texts = operations.some(({ f }) => f === "append") ? [...seen].map(String) : [];
    return withoutUnseen(
      operations,
      ({ f, input }) =>
        f !== "delete" && !seen.has(identity(input)) && !texts.some((text) => text.includes(String(input))),
    );
  },
};

/** Stores answer for a key that they do not have with nothing, or with an empty text; both are recorded as seen. */
function isRead(output: unknown, state: unknown): boolean {
  return sameValue(output, state) || (state === null && output === "");
}

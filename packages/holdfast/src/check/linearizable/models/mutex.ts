/**
 * Locks: `acquire` (answered with a fencing token, or nothing), `release`, and for fenced ones `use` of a token at
 * the thing that is guarded.
 */
import { shownValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";

interface Mutex {
  readonly holder: number | undefined;
  readonly token: number;
}

export const mutexModel: Model<Mutex> = {
  name: "mutex",
  summary:
    "A lock: held by one process at a time, released by its holder; fencing tokens, where given, only grow.",
  functions: ["acquire", "release"],
  byProcess: true,
  init: () => ({ holder: undefined, token: Number.NEGATIVE_INFINITY }),
  step(state, { f, process, output, outcome }: Operation) {
    if (f === "release") {
      if (state.holder === process) return { holder: undefined, token: state.token };
      return outcome === "ok" ? illegal : state;
    }
    if (state.holder !== undefined) return outcome === "ok" ? illegal : state;
    const token = tokenOf(output);
    if (token !== undefined && token <= state.token) return illegal;
    return { holder: process, token: token ?? state.token };
  },
  key: ({ holder, token }) => `${holder} ${token}`,
  describe,
  show: ({ holder }) => (holder === undefined ? "free" : `held by process ${holder}`),
};

interface Fence {
  /** The highest token given out. */
  readonly given: number;
  /** The highest token that the guarded thing has seen. */
  readonly seen: number;
}

export const fencedMutexModel: Model<Fence> = {
  name: "fenced-mutex",
  summary:
    "A lock that may pass on while its holder is paused: each acquire gets a higher token, and a `use` is refused once a higher token was used.",
  functions: ["acquire", "release", "use"],
  init: () => ({ given: Number.NEGATIVE_INFINITY, seen: Number.NEGATIVE_INFINITY }),
  step(state, { f, input, output, outcome }: Operation) {
    if (f === "release") return state;
    if (f === "acquire") {
      const token = tokenOf(output);
      // Unknown: nobody knows its token, and the next one only has to be higher still.
      if (token === undefined) return state;
      return token > state.given ? { given: token, seen: state.seen } : illegal;
    }
    const token = tokenOf(input) ?? Number.NEGATIVE_INFINITY;
    if (token >= state.seen) return { given: state.given, seen: token };
    return outcome === "ok" ? illegal : state;
  },
  key: ({ given, seen }) => `${given} ${seen}`,
  describe,
  show: ({ given, seen }) =>
    `highest token given ${Number.isFinite(given) ? given : "none"}, used ${Number.isFinite(seen) ? seen : "none"}`,
};

function describe({ f, input, output }: Operation): string {
  if (f === "use") return `use token ${shownValue(input)}`;
  const token = tokenOf(output);
  return f === "acquire" && token !== undefined ? `acquire -> token ${token}` : f;
}

function tokenOf(value: unknown): number | undefined {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
}

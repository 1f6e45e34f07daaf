/** Queues: `enqueue` a value, `dequeue` one. A dequeue that answers with nothing found the queue empty. */
import { identity, shownValue } from "../../equality.ts";
import type { Operation } from "../../history/event.ts";
import { illegal, type Model } from "../model.ts";
import { withoutUnseen } from "./relevant.ts";

type Items = readonly unknown[];

const describe = ({ f, input, output, outcome }: Operation): string => {
  if (f === "enqueue") return `enqueue ${shownValue(input)}`;
  return outcome === "ok" ? `dequeue -> ${isEmpty(output) ? "empty" : shownValue(output)}` : "dequeue";
};

/** What was put in and never taken out is in nobody's way, if it may as well not have been put in. */
const relevant = (operations: readonly Operation[]): readonly Operation[] => {
  const taken = new Set<unknown>();
  for (const { f, output, outcome } of operations)
    if (f === "dequeue" && outcome === "ok") taken.add(identity(output));
  return withoutUnseen(operations, ({ f, input }) => f === "enqueue" && !taken.has(identity(input)));
};

export const queueModel: Model<Items> = {
  name: "queue",
  summary: "A first-in-first-out queue: a dequeue takes the oldest value, or finds the queue empty.",
  functions: ["enqueue", "dequeue"],
  init: () => [],
  step(state, { f, input, output, outcome }: Operation) {
    if (f === "enqueue") return [...state, input];
    if (outcome !== "ok") return state.length === 0 ? state : state.slice(1);
    if (isEmpty(output)) return state.length === 0 ? state : illegal;
    return state.length > 0 && identity(state[0]) === identity(output) ? state.slice(1) : illegal;
  },
  key: (state) => identity(state),
  relevant,
  describe,
  show: (state) => `[${state.map(shownValue).join(" ")}]`,
};

/** How many of each value there are, and how many were taken by dequeues of which nobody knows what they got. */
interface Bag {
  readonly counts: ReadonlyMap<unknown, number>;
  readonly size: number;
  readonly taken: number;
}

export const unorderedQueueModel: Model<Bag> = {
  name: "unordered-queue",
  summary: "A queue without order: a dequeue takes any value that is there, each once, or finds it empty.",
  functions: ["enqueue", "dequeue"],
  init: () => ({ counts: new Map(), size: 0, taken: 0 }),
  step(state, { f, input, output, outcome }: Operation) {
    if (f === "enqueue") return change(state, identity(input), 1);
    // What it took is settled when somebody finds the queue empty: until then it could have come later.
    if (outcome !== "ok") return { ...state, taken: state.taken + 1 };
    if (isEmpty(output)) {
      if (state.size === 0) return state;
      if (state.taken < state.size) return illegal;
      return { counts: new Map(), size: 0, taken: state.taken - state.size };
    }
    const item = identity(output);
    return state.counts.has(item) ? change(state, item, -1) : illegal;
  },
  key: ({ counts, taken }) =>
    `${taken}\u0001${[...counts]
      .map(([item, count]) => `${typeof item}${String(item)}\u0002${count}`)
      .sort()
      .join("\u0001")}`,
  relevant,
  describe,
  show: ({ counts, taken }) =>
    `{${[...counts].map(([item, count]) => `${shownValue(item)}${count > 1 ? ` x${count}` : ""}`).join(" ")}}${taken > 0 ? ` less ${taken} taken by someone` : ""}`,
};

function change(bag: Bag, item: unknown, by: 1 | -1): Bag {
  const counts = new Map(bag.counts);
  const count = (counts.get(item) ?? 0) + by;
  if (count === 0) counts.delete(item);
  else counts.set(item, count);
  return { counts, size: bag.size + by, taken: bag.taken };
}

function isEmpty(output: unknown): boolean {
  return output === null || output === undefined || output === "empty";
}

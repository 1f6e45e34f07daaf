/** Histories as a correct store would have left them, with one stale read in them if wanted. */
import type { Operation } from "holdfast/check";
import { randomInt, seededRandom } from "holdfast/clock";

export interface HistoryShape {
  readonly operations: number;
  readonly keys: number;
  readonly clients: number;
  readonly seed: number;
  /** Such as `read` and `write`. */
  readonly read: string;
  readonly write: string;
}

type Draft = { -readonly [Field in keyof Operation]: Operation[Field] } & { done: boolean; answer: unknown };

/** Half reads and half writes of five values, by clients that are all busy; one in two thousand times out. */
export function correctHistory({ operations, keys, clients, seed, read, write }: HistoryShape): Operation[] {
  const random = seededRandom(seed);
  const values = new Array<unknown>(keys).fill(null);
  const free = Array.from({ length: clients }, (_, process) => process);
  const open: Draft[] = [];
  const all: Draft[] = [];
  let processes = clients;
  let index = 0;
  const apply = (draft: Draft) => {
    draft.done = true;
    if (draft.f === write) values[draft.key as number] = draft.input;
    else draft.answer = values[draft.key as number];
  };
  while (all.length < operations || open.length > 0) {
    if (all.length < operations && free.length > 0 && (open.length === 0 || random.next() < 0.55)) {
      const isWrite = random.next() < 0.5;
      const draft: Draft = {
        process: free.splice(randomInt(random, free.length), 1)[0] as number,
        f: isWrite ? write : read,
        key: randomInt(random, keys),
        input: isWrite ? randomInt(random, 5) : null,
        output: undefined,
        outcome: "info",
        callIndex: index,
        returnIndex: Number.POSITIVE_INFINITY,
        callNs: index++,
        returnNs: Number.POSITIVE_INFINITY,
        done: false,
        answer: undefined,
      };
      if (random.next() < 0.5) apply(draft);
      open.push(draft);
      all.push(draft);
      continue;
    }
    const draft = open.splice(randomInt(random, open.length), 1)[0] as Draft;
    if (!draft.done) apply(draft);
    if (random.next() < 0.0005) {
      free.push(processes++);
      index++;
      continue;
    }
    draft.outcome = "ok";
    draft.output = draft.f === write ? draft.input : draft.answer;
    draft.returnIndex = index;
    draft.returnNs = index++;
    free.push(draft.process);
  }
  return all;
}

/** The same with one read in the middle that answers what nobody ever wrote. */
export function wrongHistory(shape: HistoryShape): Operation[] {
  const operations = correctHistory(shape);
  const at = operations.findIndex(
    ({ f, outcome }, i) => i >= operations.length / 2 && f === shape.read && outcome === "ok",
  );
  return operations.with(at, { ...(operations[at] as Operation), output: 99 });
}

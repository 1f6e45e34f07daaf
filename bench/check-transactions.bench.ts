/**
 * Judging transactions: list-append and rw-register histories of a serial database, up to 10^5 transactions, and
 * the same with one planted contradiction. No peer on npm does this. Elle's authors published that it checks
 * histories of hundreds of thousands of transactions in tens of seconds (VLDB 2020); that ran on other machines.
 */
import { checkTransactions, type HistoryEvent, type Operation, pairEvents } from "holdfast/check";
import { randomInt, seededRandom, systemClock } from "holdfast/clock";
import { type Bench, type Figure, median } from "./bench.ts";

type Kind = "list-append" | "rw-register";
type Micro = [word: string, key: string, value: unknown];

const concurrent = 20;
const transactionsPerKey = 100;

const bench: Bench = {
  name: "check-transactions",
  title: "judging transactions by strict serializability (no peer on npm)",
  async run(size, seed) {
    const figures: Figure[] = [];
    for (const kind of ["list-append", "rw-register"] as const) {
      for (const count of size === "full" ? [1_000, 10_000, 100_000] : [500]) {
        const operations = serialHistory(kind, count, seed);
        const times = Array.from({ length: size === "full" ? 5 : 1 }, () => {
          const startMs = systemClock.monotonicMs();
          expectVerdict(checkTransactions(kind, operations).verdict, "ok");
          return systemClock.monotonicMs() - startMs;
        });
        expectVerdict(checkTransactions(kind, withStaleRead(operations)).verdict, "illegal");
        figures.push({
          name: `${kind}, ${count.toLocaleString("en-US")}`,
          unit: "ms",
          value: median(times),
          better: "lower",
        });
      }
    }
    return { figures, checked: "each serial history was ok, each with one stale read illegal" };
  },
};
export default bench;

/** Transactions of 1 to 4 micro-operations on 10 keys at a time, each applied at its end, 20 at once. */
function serialHistory(kind: Kind, count: number, seed: number): readonly Operation[] {
  const random = seededRandom(seed);
  const events: HistoryEvent[] = [];
  const add = (type: HistoryEvent["type"], process: number, value: unknown) =>
    events.push({ index: events.length, timeNs: events.length * 1_000, type, process, f: "txn", value });
  const store = new Map<string, unknown>();
  const running = new Map<number, Micro[]>();
  let value = 0;
  for (let begun = 0; begun < count || running.size > 0; ) {
    const process = randomInt(random, concurrent);
    const micros = running.get(process);
    if (micros) {
      running.delete(process);
      add(
        "ok",
        process,
        micros.map((micro) => applied(store, micro)),
      );
    } else if (begun < count) {
      const epoch = Math.floor(begun++ / transactionsPerKey);
      const planned = Array.from({ length: 1 + randomInt(random, 4) }, (): Micro => {
        const key = `k${epoch * 10 + randomInt(random, 10)}`;
        return random.next() < 0.5
          ? ["r", key, null]
          : [kind === "list-append" ? "append" : "w", key, ++value];
      });
      running.set(process, planned);
      add("invoke", process, planned);
    }
  }
  return pairEvents(events).operations;
}

function applied(store: Map<string, unknown>, [word, key, value]: Micro): Micro {
  if (word === "r") return [word, key, store.get(key) ?? null];
  store.set(key, word === "append" ? [...((store.get(key) as unknown[]) ?? []), value] : value);
  return [word, key, value];
}

/** The last transaction that only reads a key that has a value: it finds nothing there. */
function withStaleRead(operations: readonly Operation[]): readonly Operation[] {
  const at = operations.findLastIndex(({ output }) =>
    (output as Micro[]).every(([word, , value]) => word === "r" && value !== null),
  );
  return operations.map((operation, index) =>
    index === at
      ? { ...operation, output: (operation.output as Micro[]).map(([word, key]) => [word, key, null]) }
      : operation,
  );
}

function expectVerdict(got: string, expected: string): void {
  if (got !== expected) throw new Error(`a history that is ${expected} was judged ${got}`);
}

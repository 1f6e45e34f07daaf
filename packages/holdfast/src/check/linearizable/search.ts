/**
 * The search for a linearisation of operations on one object: depth first, never the same configuration twice.
 *
 * Operations that ended well must take effect before their end. Those of unknown outcome may take effect at any
 * time after their invocation, or never; they are tried only when nothing else can go on. Three rules keep the
 * search small without changing its answer: an operation that only observes takes effect as soon as it can; of
 * unknown ones that ask for the same the earliest goes first; and one whose effect makes no difference to what comes
 * right after it may as well come later, or never.
 *
 * @see J. Wing and C. Gong, "Testing and verifying concurrent objects", 1993
 * @see G. Lowe, "Testing for linearizability", 2017, for the memo and the list
 */
import type { BudgetMeter } from "../budget.ts";
import { identity } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import { ConfigMemo, mix } from "./config-memo.ts";
import { EntryList } from "./entry-list.ts";
import { type AnyModel, type HeldValues, illegal } from "./model.ts";
import { StateTable } from "./state-table.ts";
import { ValueGuard } from "./value-guard.ts";

export type SearchResult =
  | { readonly verdict: "ok" }
  | { readonly verdict: "unknown"; readonly reason: string }
  | ({ readonly verdict: "illegal" } & Contradiction);

export interface Contradiction {
  /** The first operation that cannot have ended when it did; everything that began later is beside the point. */
  readonly blocked: Operation;
  /** One of the longest orders that work, up to that one. */
  readonly order: readonly Operation[];
  /** The states in which `blocked` was met, some of them. */
  readonly metIn: readonly unknown[];
  /** All states that any order can lead to. */
  readonly states: readonly unknown[];
  /**
   * `order`: no order works. `value`: it needs a value that nobody ever left, whatever the order. `unexplained`: no
   * order works, but there was no time to find out where orders can lead to.
   */
  readonly cause: "order" | "value" | "unexplained";
}

const metInMax = 8;

/**
 * Whether there is a linearisation. Looks ahead where the model says how (`values`), and so knows the verdict sooner
 * than which operation is to blame: where `contradiction` is called for, use `explain`.
 *
 * @param operations on one object, in the order of their invocations; none that failed
 */
export function search(model: AnyModel, operations: readonly Operation[], meter: BudgetMeter): SearchResult {
  return run(model, operations, meter, [model.init()], model.values?.(operations));
}

/**
 * The same without looking ahead: of a contradiction, `blocked` is the first operation that cannot have ended when it
 * did, and `states` are all that any order leads to.
 *
 * @param starts states that the object may have been in before. Default: the model's first
 */
export function explain(
  model: AnyModel,
  operations: readonly Operation[],
  meter: BudgetMeter,
  starts: readonly unknown[] = [model.init()],
): SearchResult {
  return run(model, operations, meter, starts, undefined);
}

function run(
  model: AnyModel,
  operations: readonly Operation[],
  meter: BudgetMeter,
  starts: readonly unknown[],
  values: HeldValues | undefined,
): SearchResult {
  const required: Operation[] = [];
  const optional: Operation[] = [];
  for (const operation of operations) {
    if (operation.outcome === "ok") required.push(operation);
    else if (!model.observes?.(operation)) optional.push(operation);
  }
  if (required.length === 0) return { verdict: "ok" };
  const objectOf = (operation: Operation) => identity(model.objectOf ? model.objectOf(operation) : null);
  const guard = values && new ValueGuard(values, [...required, ...optional], objectOf);
  if (guard?.impossible)
    return {
      verdict: "illegal",
      blocked: guard.impossible,
      order: [],
      metIn: [],
      states: [],
      cause: "value",
    };
  return new Search(model, required, optional, meter, guard).run(starts);
}

class Search {
  readonly #model: AnyModel;
  readonly #required: readonly Operation[];
  readonly #optional: readonly Operation[];
  readonly #meter: BudgetMeter;
  readonly #guard: ValueGuard | undefined;
  readonly #memo: ConfigMemo;
  readonly #table: StateTable;
  /** Entry `i` is the invocation of required operation `i`, entry `n + i` its end. */
  readonly #entries: EntryList;
  readonly #open: EntryList;
  readonly #twins: Int32Array;
  readonly #observers: Uint8Array;
  readonly #requiredBits: Int32Array;
  readonly #optionalBits: Int32Array;
  // What has been linearised: required `i` as i, optional `j` as n + j; and what it was like before.
  readonly #stack: Int32Array;
  readonly #stateBefore: Int32Array;
  readonly #highBefore: Int32Array;
  readonly #forced: Uint8Array;
  #depth = 0;
  #state = 0;
  #hash = 0;
  /** Last word of either bitset that is not empty; -1 when all are. */
  #high = -1;
  #optionalHigh = -1;
  #left: number;

  // The furthest that any order came.
  #blocked = -1;
  #blockedIndex = -1;
  #metIn: number[] = [];
  readonly #best: Int32Array;
  #bestDepth = 0;
  /** As much of `#best` as is `#stack` still. */
  #bestShared = 0;

  constructor(
    model: AnyModel,
    required: readonly Operation[],
    optional: readonly Operation[],
    meter: BudgetMeter,
    guard: ValueGuard | undefined,
  ) {
    this.#guard = guard;
    const n = required.length;
    const m = optional.length;
    this.#model = model;
    this.#required = required;
    this.#optional = optional;
    this.#meter = meter;
    const keep = (bytes: number) => meter.keep(bytes);
    this.#memo = new ConfigMemo(keep);
    this.#table = new StateTable(model, keep);
    this.#entries = new EntryList(entryOrder(required));
    this.#open = new EntryList(Array.from({ length: m }, (_, j) => j));
    this.#twins = twinsBefore(optional, model.byProcess === true);
    this.#observers = Uint8Array.from(required, (operation) => (model.observes?.(operation) ? 1 : 0));
    this.#requiredBits = new Int32Array((n >>> 5) + 1);
    this.#optionalBits = new Int32Array((m >>> 5) + 1);
    this.#stack = new Int32Array(n + m);
    this.#stateBefore = new Int32Array(n + m);
    this.#highBefore = new Int32Array(n + m);
    this.#forced = new Uint8Array(n + m);
    this.#best = new Int32Array(n + m);
    this.#left = n;
  }

  run(starts: readonly unknown[]): SearchResult {
    try {
      for (const start of starts) {
        this.#state = this.#table.number(start);
        const found = this.#from();
        if (found === "illegal") continue;
        return found === "ok" ? { verdict: "ok" } : { verdict: "unknown", reason: found };
      }
      return { verdict: "illegal", cause: "order", ...this.#contradiction() };
    } finally {
      this.#memo.release();
      this.#table.release();
    }
  }

  /** @returns `ok`, `illegal`, or why it gave up */
  #from(): string {
    const { next, head } = this.#entries;
    const n = this.#required.length;
    const meter = this.#meter;
    let entry = this.#observe();
    while (this.#left > 0) {
      const spent = meter.spent();
      if (spent !== undefined) return spent;
      if (entry < n) {
        if (this.#tryRequired(entry)) entry = this.#observe();
        else entry = next[entry] as number;
        continue;
      }
      // An end: something before it has to take effect now, and of the required ones none can.
      if (this.#tryOptional(entry - n, this.#open.next[this.#open.head] as number)) {
        entry = this.#observe();
        continue;
      }
      this.#meet(entry - n);
      entry = this.#backtrack();
      if (entry === head && this.#left > 0) return "illegal";
    }
    return "ok";
  }

  /** Lets every observation that can take effect do so. @returns the first entry */
  #observe(): number {
    const { next, head } = this.#entries;
    const n = this.#required.length;
    const { states } = this.#table;
    let entry = next[head] as number;
    while (entry < n) {
      if (
        this.#observers[entry] === 1 &&
        this.#model.step(states[this.#state], this.#required[entry] as Operation) !== illegal
      ) {
        this.#push(entry, this.#state, 1);
        entry = next[head] as number;
      } else entry = next[entry] as number;
    }
    return next[head] as number;
  }

  #tryRequired(entry: number): boolean {
    // An observation that could take effect already has.
    if (this.#observers[entry] === 1 || this.#guard?.allows(entry) === false) return false;
    const before = this.#table.states[this.#state];
    const after = this.#model.step(before, this.#required[entry] as Operation);
    if (after === illegal) return false;
    const number = after === before ? this.#state : this.#table.number(after);
    if (this.#lastWasUseless(this.#required[entry] as Operation, number)) return false;
    this.#push(entry, number, 0);
    return this.#isNew();
  }

  /** Tries the open operations of unknown outcome from `j` on that were invoked before required `end` ended. */
  #tryOptional(end: number, j: number): boolean {
    const { next, head } = this.#open;
    const n = this.#required.length;
    const beforeIndex = (this.#required[end] as Operation).returnIndex;
    for (; j !== head; j = next[j] as number) {
      const operation = this.#optional[j] as Operation;
      if (operation.callIndex >= beforeIndex) return false;
      const twin = this.#twins[j] as number;
      if (twin !== -1 && !hasBit(this.#optionalBits, twin)) continue;
      if (this.#guard?.allows(n + j) === false) continue;
      const before = this.#table.states[this.#state];
      const after = this.#model.step(before, operation);
      if (after === illegal || after === before) continue;
      const number = this.#table.number(after);
      // Without an effect it may as well not have happened.
      if (number === this.#state || this.#lastWasUseless(operation, number)) continue;
      this.#push(n + j, number, 0);
      if (this.#isNew()) return true;
    }
    return false;
  }

  /** Whether the last one was of unknown outcome, and `operation` leads to the same state without it. */
  #lastWasUseless(operation: Operation, after: number): boolean {
    const top = this.#depth - 1;
    if (top < 0 || (this.#stack[top] as number) < this.#required.length) return false;
    const without = this.#model.step(this.#table.states[this.#stateBefore[top] as number], operation);
    return without !== illegal && this.#table.number(without) === after;
  }

  /** Whether what was pushed last leads to a configuration that is new; otherwise it is popped. */
  #isNew(): boolean {
    const first = this.#entries.next[this.#entries.head] as number;
    const fresh = this.#memo.add(
      this.#hash,
      this.#state,
      this.#requiredBits,
      first >>> 5,
      this.#left === 0 ? -1 : this.#high,
      this.#optionalBits,
      this.#optionalHigh,
    );
    if (!fresh) this.#pop();
    return fresh;
  }

  #push(code: number, state: number, forced: 0 | 1): void {
    const n = this.#required.length;
    const depth = this.#depth++;
    this.#stack[depth] = code;
    this.#stateBefore[depth] = this.#state;
    this.#forced[depth] = forced;
    this.#state = state;
    this.#guard?.push(code);
    if (code < n) {
      this.#hash ^= mix(code + 1);
      this.#highBefore[depth] = this.#high;
      this.#high = Math.max(this.#high, code >>> 5);
      flipBit(this.#requiredBits, code);
      this.#entries.lift(code);
      this.#entries.lift(n + code);
      this.#left--;
    } else {
      this.#highBefore[depth] = this.#optionalHigh;
      this.#optionalHigh = Math.max(this.#optionalHigh, (code - n) >>> 5);
      flipBit(this.#optionalBits, code - n);
      this.#open.lift(code - n);
    }
  }

  #pop(): number {
    const n = this.#required.length;
    const depth = --this.#depth;
    if (depth < this.#bestShared) this.#bestShared = depth;
    const code = this.#stack[depth] as number;
    this.#state = this.#stateBefore[depth] as number;
    this.#guard?.pop(code);
    if (code < n) {
      this.#hash ^= mix(code + 1);
      this.#high = this.#highBefore[depth] as number;
      flipBit(this.#requiredBits, code);
      this.#entries.unlift(n + code);
      this.#entries.unlift(code);
      this.#left++;
    } else {
      this.#optionalHigh = this.#highBefore[depth] as number;
      flipBit(this.#optionalBits, code - n);
      this.#open.unlift(code - n);
    }
    return code;
  }

  /** Goes back to the last choice and takes the next one. @returns the entry to go on from; the head when none is left */
  #backtrack(): number {
    const { next, head } = this.#entries;
    const n = this.#required.length;
    while (this.#depth > 0) {
      const forced = this.#forced[this.#depth - 1] === 1;
      const code = this.#pop();
      if (forced) continue;
      if (code < n) return next[code] as number;
      const end = this.#firstEnd();
      if (this.#tryOptional(end, this.#open.next[code - n] as number)) return this.#observe();
    }
    return head;
  }

  /** The required operation whose end comes first. */
  #firstEnd(): number {
    const { next, head } = this.#entries;
    const n = this.#required.length;
    let entry = next[head] as number;
    while (entry < n) entry = next[entry] as number;
    return entry - n;
  }

  /** Remembers how far this order came, when none came further. */
  #meet(blocked: number): void {
    const index = (this.#required[blocked] as Operation).returnIndex;
    if (index < this.#blockedIndex) return;
    if (index > this.#blockedIndex) {
      this.#blockedIndex = index;
      this.#blocked = blocked;
      this.#metIn = [];
      for (let i = this.#bestShared; i < this.#depth; i++) this.#best[i] = this.#stack[i] as number;
      this.#bestDepth = this.#depth;
      this.#bestShared = this.#depth;
    }
    if (this.#metIn.length < metInMax && !this.#metIn.includes(this.#state)) this.#metIn.push(this.#state);
  }

  #contradiction(): Omit<Contradiction, "cause"> {
    const n = this.#required.length;
    const order = Array.from(
      this.#best.subarray(0, this.#bestDepth),
      (code) => (code < n ? this.#required[code] : this.#optional[code - n]) as Operation,
    );
    return {
      blocked: this.#required[this.#blocked] as Operation,
      order,
      metIn: this.#metIn.map((number) => this.#table.states[number]),
      states: this.#table.states,
    };
  }
}

/** Invocations and ends in the order of the history. */
function entryOrder(required: readonly Operation[]): Int32Array {
  const n = required.length;
  // Sorted as plain numbers, the end's index in front: much faster than with a comparison of our own.
  const ends = Float64Array.from(required, ({ returnIndex }, i) => returnIndex * n + i).sort();
  const order = new Int32Array(2 * n);
  let at = 0;
  let call = 0;
  for (const end of ends) {
    const i = end % n;
    const { returnIndex } = required[i] as Operation;
    while (call < n && (required[call] as Operation).callIndex < returnIndex) order[at++] = call++;
    order[at++] = n + i;
  }
  return order;
}

/** For each operation of unknown outcome the one before it that asks for the same; -1 when there is none. */
function twinsBefore(optional: readonly Operation[], byProcess: boolean): Int32Array {
  const last = new Map<string, Map<unknown, number>>();
  return Int32Array.from(optional, ({ f, input, key }, j) => {
    if (byProcess) return -1;
    const ofFunction = last.get(f) ?? new Map<unknown, number>();
    last.set(f, ofFunction);
    const asks = identity(key === undefined ? input : [key, input]);
    const twin = ofFunction.get(asks) ?? -1;
    ofFunction.set(asks, j);
    return twin;
  });
}

function hasBit(bits: Int32Array, at: number): boolean {
  return (((bits[at >>> 5] as number) >>> (at & 31)) & 1) === 1;
}

function flipBit(bits: Int32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] as number) ^ (1 << (at & 31));
}

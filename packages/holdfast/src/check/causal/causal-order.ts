/**
 * Which accesses come before which: process order, reads-from, and whatever else is added, closed under "and then".
 * Kept as one number per access and process: how many of that process's accesses come before it.
 */
import type { BudgetMeter } from "../budget.ts";
import type { Access, RegisterHistory } from "./register-history.ts";

/** Thrown when the budget ended: the message says which. */
export class BudgetSpent extends Error {}

/** @throws {BudgetSpent} */
export function tick(meter: BudgetMeter): void {
  const reason = meter.spent();
  if (reason !== undefined) throw new BudgetSpent(reason);
}

export interface ExtraEdge {
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export class CausalOrder {
  /** Row of access `a`: `past[a * sessions + s]` accesses of session `s` come before it, or are it. */
  readonly past: Int32Array;
  /** Accesses that come before themselves, when there are any. */
  readonly cyclic: readonly number[];
  readonly #width: number;
  readonly #meter: BudgetMeter;

  constructor(history: RegisterHistory, meter: BudgetMeter, extra: readonly ExtraEdge[] = []) {
    const { accesses, sessions } = history;
    const width = sessions.length;
    this.#width = width;
    this.#meter = meter;
    meter.keep(accesses.length * width * 4);
    tick(meter);
    this.past = new Int32Array(accesses.length * width);
    const outgoing = new Map<number, number[]>();
    const missing = new Int32Array(accesses.length);
    const edge = (from: number, to: number) => {
      missing[to] = (missing[to] as number) + 1;
      const list = outgoing.get(from);
      if (list) list.push(to);
      else outgoing.set(from, [to]);
    };
    for (const { id, source, place } of accesses) {
      if (place > 0) missing[id] = (missing[id] as number) + 1;
      if (source >= 0) edge(source, id);
    }
    for (const { from, to } of extra) edge(from, to);

    const ready: number[] = [];
    for (const { id } of accesses) if (missing[id] === 0) ready.push(id);
    let done = 0;
    const settle = (from: number, to: number) => {
      this.#merge(from, to);
      missing[to] = (missing[to] as number) - 1;
      if (missing[to] === 0) ready.push(to);
    };
    for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
      done++;
      const { session, place } = accesses[id] as Access;
      this.past[id * width + session] = place + 1;
      const next = sessions[session]?.[place + 1];
      if (next) settle(id, next.id);
      for (const to of outgoing.get(id) ?? []) settle(id, to);
    }
    this.cyclic =
      done === accesses.length
        ? []
        : accesses.filter(({ id }) => (missing[id] as number) > 0).map(({ id }) => id);
  }

  /** Whether `a` comes before `b`, or is it. */
  before(a: Access, b: Access): boolean {
    return (this.past[b.id * this.#width + a.session] as number) > a.place;
  }

  /** How many accesses of `session` come before `b`; it counts itself in its own. */
  pastOf(b: Access, session: number): number {
    return this.past[b.id * this.#width + session] as number;
  }

  /** Gives back what it keeps. */
  release(): void {
    this.#meter.keep(-this.past.length * 4);
  }

  #merge(from: number, to: number): void {
    const { past } = this;
    const width = this.#width;
    for (let s = 0; s < width; s++) {
      const count = past[from * width + s] as number;
      if (count > (past[to * width + s] as number)) past[to * width + s] = count;
    }
  }
}

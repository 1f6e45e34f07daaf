/**
 * The sheet that estimates are written on: each with an id, bounds, a unit, and the arithmetic that led to it, in
 * the order in which a person would do it.
 */
import { formatInterval, type Unit } from "../format.ts";
import type { Interval } from "../models/interval.ts";

export interface Estimate {
  /** Stable: programs may look it up. */
  readonly id: string;
  /** The table that it belongs to. */
  readonly group: EstimateGroup;
  readonly title: string;
  readonly low: number;
  readonly mid: number;
  readonly high: number;
  readonly unit: Unit;
  /** The arithmetic, with the middle figures and their units. */
  readonly how: string;
}

export type EstimateGroup =
  | "rates"
  | "bandwidth"
  | "storage"
  | "cache"
  | "load on parts"
  | "capacity"
  | "queues"
  | "fan-out"
  | "cost";

export class Sheet {
  readonly #estimates = new Map<string, Estimate>();

  /** @returns the value, so that the next line can go on with it */
  put(group: EstimateGroup, id: string, title: string, value: Interval, unit: Unit, how: string): Interval {
    if (this.#estimates.has(id)) throw new Error(`two estimates have the id ${id}`);
    const { low, mid, high } = value;
    this.#estimates.set(id, { id, group, title, low, mid, high, unit, how });
    return value;
  }

  get(id: string): Estimate | undefined {
    return this.#estimates.get(id);
  }

  all(): readonly Estimate[] {
    return [...this.#estimates.values()];
  }
}

/** An interval within a line of arithmetic: its middle only; the bounds are in the result. */
export function term(value: Interval, unit: Unit): string {
  return formatInterval({ low: value.mid, mid: value.mid, high: value.mid }, unit);
}

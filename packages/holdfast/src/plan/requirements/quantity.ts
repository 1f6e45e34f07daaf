/**
 * From what a person wrote (`2 MB`, `99.9 %`, `[10, 20, 50]`, `10:1`) to an interval in the planner's own units,
 * or to what is wrong with it.
 */
import type { Interval } from "../models/interval.ts";
import { type Dimension, units, unitsShown } from "./units.ts";

export type Parsed = { readonly value: Interval } | { readonly problem: string };

/** @returns the interval, or the problem as half a sentence that follows the field's name */
export function parseQuantity(given: unknown, dimension: Dimension): Parsed {
  if (!Array.isArray(given)) {
    const one = parseAmount(given, dimension);
    return "problem" in one ? one : { value: { low: one.value, mid: one.value, high: one.value } };
  }
  if (given.length !== 3) {
    return { problem: `should be one amount or [low, mid, high], got a list of ${given.length}` };
  }
  const amounts = given.map((amount) => parseAmount(amount, dimension));
  for (const amount of amounts) if ("problem" in amount) return amount;
  const [low = 0, mid = 0, high = 0] = amounts.map((amount) => ("value" in amount ? amount.value : 0));
  if (!(low <= mid && mid <= high)) {
    return { problem: `should rise from low over mid to high, got ${JSON.stringify(given)}` };
  }
  return { value: { low, mid, high } };
}

type ParsedAmount = { readonly value: number } | { readonly problem: string };

function parseAmount(given: unknown, dimension: Dimension): ParsedAmount {
  if (typeof given === "number") return finite(given, String(given));
  if (typeof given !== "string")
    return { problem: `should be a number or text with a unit, got ${kindOf(given)}` };
  const text = given.trim();
  const ratio =
    dimension === "ratio" || dimension === "count" ? /^([\d._]+)\s*:\s*([\d._]+)$/.exec(text) : null;
  if (ratio) return finite(numberOf(ratio[1]) / numberOf(ratio[2]), text);
  const match = /^([-+]?(?:\d[\d_,]*)?(?:\.\d+)?(?:e[-+]?\d+)?)\s*(.*)$/i.exec(text);
  const [, digits = "", unit = ""] = match ?? [];
  if (!/\d/.test(digits)) return { problem: `should begin with a number, got ${JSON.stringify(given)}` };
  const factor = Object.hasOwn(units[dimension], unit) ? units[dimension][unit] : undefined;
  if (factor === undefined) {
    const what = unit === "" ? "no unit" : `the unit ${JSON.stringify(unit)}`;
    return { problem: `has ${what} in ${JSON.stringify(given)}; use ${unitsShown[dimension]}` };
  }
  // Fifteen digits: 99.9 % is 0.999 and not 0.9990000000000001.
  const value = Number((numberOf(digits) * factor).toPrecision(15));
  return finite(value, text);
}

function numberOf(digits: string | undefined): number {
  return Number((digits ?? "").replace(/[_,]/g, ""));
}

function finite(value: number, text: string): ParsedAmount {
  if (!Number.isFinite(value)) return { problem: `should be a finite number, got ${text}` };
  if (value < 0) return { problem: `should be 0 or more, got ${text}` };
  return { value };
}

function kindOf(value: unknown): string {
  return value === null
    ? "null"
    : Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "an object"
        : String(value);
}

/**
 * Reads the fields of one object of the declaration, and gathers what is wrong with them, each by its path. What
 * was not said is assumed, and noted.
 */
import type { Interval } from "../models/interval.ts";
import type { Default } from "./defaults.ts";
import { parseQuantity } from "./quantity.ts";
import type { Assumption } from "./resolved.ts";
import type { Dimension } from "./units.ts";

/** What reading leaves behind, beside the values. */
export class Findings {
  readonly problems: string[] = [];
  readonly assumptions: Assumption[] = [];

  assume(id: string, text: string, source: string): void {
    this.assumptions.push({ id, text, source, by: "planner" });
  }
}

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** What to do about a value outside. */
  readonly remedy?: string;
}

const zero: Interval = { low: 0, mid: 0, high: 0 };

export class Fields {
  readonly path: string;
  readonly findings: Findings;
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(path: string, given: unknown, known: readonly string[], findings: Findings) {
    this.path = path;
    this.findings = findings;
    this.#given = isRecord(given) ? given : {};
    if (!isRecord(given)) {
      findings.problems.push(
        `${path === "" ? "the declaration" : path} should be an object, got ${shown(given)}`,
      );
    }
    for (const name of Object.keys(this.#given)) {
      if (!known.includes(name)) this.problem(name, `is no field here; the fields are ${known.join(", ")}`);
    }
  }

  at(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined;
  }

  raw(name: string): unknown {
    return this.#given[name];
  }

  problem(name: string, what: string): void {
    this.findings.problems.push(`${this.at(name)} ${what}`);
  }

  optional(name: string, dimension: Dimension, bounds: Bounds = {}): Interval | undefined {
    if (!this.has(name)) return undefined;
    const parsed = parseQuantity(this.#given[name], dimension);
    if ("problem" in parsed) {
      this.problem(name, parsed.problem);
      return undefined;
    }
    const { min = 0, max = Number.POSITIVE_INFINITY, remedy } = bounds;
    if (parsed.value.low < min || parsed.value.high > max) {
      const range = max === Number.POSITIVE_INFINITY ? `at least ${min}` : `from ${min} to ${max}`;
      this.problem(name, `should be ${range}, got ${shown(this.#given[name])}${remedy ? `: ${remedy}` : ""}`);
      return undefined;
    }
    return parsed.value;
  }

  required(name: string, dimension: Dimension, bounds: Bounds = {}): Interval {
    if (!this.has(name)) this.problem(name, "is missing");
    return this.optional(name, dimension, bounds) ?? zero;
  }

  /** The field, or the default; the default is noted as an assumption. */
  assumed(name: string, dimension: Dimension, otherwise: Default, bounds: Bounds = {}): Interval {
    if (this.has(name)) return this.optional(name, dimension, bounds) ?? zero;
    const parsed = parseQuantity(otherwise.value, dimension);
    if ("problem" in parsed) throw new Error(`the default of ${name} ${parsed.problem}`);
    this.findings.assume(this.at(name), `${this.at(name)} is ${text(otherwise.value)}`, otherwise.source);
    return parsed.value;
  }

  whole(name: string, min: number, max: number): number | undefined {
    const value = this.#given[name];
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    this.problem(name, `should be a whole number from ${min} to ${max}, got ${shown(value)}`);
    return undefined;
  }

  choice<Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const value = this.#given[name];
    if (value === undefined) return undefined;
    if (values.includes(value as Value)) return value as Value;
    this.problem(name, `should be one of ${values.join(", ")}, got ${shown(value)}`);
    return undefined;
  }

  text(name: string): string | undefined {
    const value = this.#given[name];
    if (value === undefined) return undefined;
    if (typeof value === "string" && value.trim() !== "") return value;
    this.problem(name, `should be text, got ${shown(value)}`);
    return undefined;
  }

  requiredText(name: string): string {
    if (!this.has(name)) this.problem(name, "is missing");
    return this.text(name) ?? "";
  }

  flag(name: string): boolean | undefined {
    const value = this.#given[name];
    if (value === undefined || typeof value === "boolean") return value;
    this.problem(name, `should be true or false, got ${shown(value)}`);
    return undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#given[name];
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value as string[];
    this.problem(name, `should be a list of texts, got ${shown(value)}`);
    return [];
  }

  list(name: string): readonly unknown[] {
    const value = this.#given[name];
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.problem(name, `should be a list, got ${shown(value)}`);
    return [];
  }

  entries(name: string): readonly (readonly [string, unknown])[] {
    const value = this.#given[name];
    if (value === undefined) return [];
    if (isRecord(value)) return Object.entries(value);
    this.problem(name, `should be an object by name, got ${shown(value)}`);
    return [];
  }

  fields(name: string, known: readonly string[]): Fields {
    return new Fields(this.at(name), this.#given[name], known, this.findings);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: Default["value"]): string {
  return Array.isArray(value) ? `${value[1]} (${value[0]} to ${value[2]})` : String(value);
}

export function shown(value: unknown): string {
  if (typeof value === "number" || value === undefined) return String(value);
  return JSON.stringify(value) ?? String(value);
}

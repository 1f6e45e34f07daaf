/**
 * What is known of columns: the values that they can only have, and which of them are equal. Knowledge passes along
 * equalities, and from a select into the selects inside of it, never out of them.
 */
import type { Condition } from "./conditions.ts";
import type { Column } from "./scope.ts";

interface Equality {
  readonly from: Column;
  readonly to: Column;
}

export class Pins {
  readonly #outer: Pins | undefined;
  readonly #values: { readonly column: Column; readonly values: readonly unknown[] }[] = [];
  readonly #equalities: Equality[] = [];

  constructor(outer?: Pins) {
    this.#outer = outer;
  }

  /**
   * @param mayKnow whether what a condition says holds for the column's source: the condition of a LEFT JOIN says
   *   nothing of the rows on its left, which are there either way
   */
  add(condition: Condition, mayKnow: (column: Column) => boolean = () => true): void {
    if (condition.kind === "values" && mayKnow(condition.column)) this.#values.push(condition);
    if (condition.kind !== "equal") return;
    const { left, right } = condition;
    if (mayKnow(right)) this.#equalities.push({ from: left, to: right });
    if (mayKnow(left)) this.#equalities.push({ from: right, to: left });
  }

  /** The values that `column` can only have; `undefined` when that is not known. */
  valuesOf(column: Column): readonly unknown[] | undefined {
    let best: readonly unknown[] | undefined;
    for (const same of this.#sources(column)) {
      for (let pins: Pins | undefined = this; pins; pins = pins.#outer) {
        for (const known of pins.#values) {
          // All of them hold: the shortest list says most.
          if (isSame(known.column, same) && (!best || known.values.length < best.length)) best = known.values;
        }
      }
    }
    return best;
  }

  /** Whether two columns are known to be equal in every row. */
  areEqual(a: Column, b: Column): boolean {
    const [fromA, fromB] = [this.#sources(a), this.#sources(b)];
    return fromA.some((one) => fromB.some((other) => isSame(one, other)));
  }

  /** The column, and those whose values it takes over. */
  #sources(column: Column): Column[] {
    const found = [column];
    for (const next of found) {
      for (let pins: Pins | undefined = this; pins; pins = pins.#outer) {
        for (const { from, to } of pins.#equalities) {
          if (isSame(to, next) && !found.some((known) => isSame(known, from))) found.push(from);
        }
      }
    }
    return found;
  }
}

export function isSame(a: Column, b: Column): boolean {
  return a.source === b.source && a.name === b.name;
}

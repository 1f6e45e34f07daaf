/**
 * Knows, at each moment of a search, which value each object holds, who still needs it, and who could bring it back.
 * To replace a value that somebody still needs and nobody can bring back leads nowhere.
 */
import { identity } from "../equality.ts";
import type { Operation } from "../history/event.ts";
import type { HeldValues } from "./model.ts";

export class ValueGuard {
  /** By operation: the value that it needs, and the one that it leaves; -1 for none. */
  readonly #needs: Int32Array;
  readonly #leaves: Int32Array;
  readonly #object: Int32Array;
  /** By value: operations that are not linearised yet and need it; that could leave it. */
  readonly #needed: Int32Array;
  readonly #left: Int32Array;
  /** By object: the value that it holds. */
  readonly #held: number[] = [];
  readonly #replaced: number[] = [];
  /** An operation that needs a value which was not there at the beginning and which nobody leaves. */
  readonly impossible: Operation | undefined;

  /** @param operations those that must take effect, then those that may */
  constructor(
    values: HeldValues,
    operations: readonly Operation[],
    objectOf: (operation: Operation) => unknown,
  ) {
    const n = operations.length;
    this.#needs = new Int32Array(n).fill(-1);
    this.#leaves = new Int32Array(n).fill(-1);
    this.#object = new Int32Array(n);
    const objects = new Map<unknown, number>();
    const numbers: Map<unknown, number>[] = [];
    let count = 0;
    const numberOf = (object: number, value: unknown): number => {
      const ofObject = numbers[object] as Map<unknown, number>;
      const known = ofObject.get(value);
      if (known !== undefined) return known;
      ofObject.set(value, count);
      return count++;
    };
    operations.forEach((operation, i) => {
      const name = objectOf(operation);
      let object = objects.get(name);
      if (object === undefined) {
        object = objects.size;
        objects.set(name, object);
        numbers.push(new Map());
        this.#held.push(numberOf(object, identity(values.initial)));
      }
      this.#object[i] = object;
      const needs = values.needs(operation);
      const leaves = values.leaves(operation);
      if (needs !== undefined && operation.outcome === "ok") this.#needs[i] = numberOf(object, needs);
      if (leaves !== undefined) this.#leaves[i] = numberOf(object, leaves);
    });
    this.#needed = new Int32Array(count);
    this.#left = new Int32Array(count);
    for (const value of this.#needs)
      if (value >= 0) this.#needed[value] = (this.#needed[value] as number) + 1;
    for (const value of this.#leaves) if (value >= 0) this.#left[value] = (this.#left[value] as number) + 1;
    const initial = new Set(this.#held);
    this.impossible = operations.find((_, i) => {
      const value = this.#needs[i] as number;
      return value >= 0 && this.#left[value] === 0 && !initial.has(value);
    });
  }

  /** Whether `operation` may take effect now without making one of the others impossible. */
  allows(operation: number): boolean {
    const leaves = this.#leaves[operation] as number;
    if (leaves < 0) return true;
    const held = this.#held[this.#object[operation] as number] as number;
    if (held === leaves || (this.#left[held] as number) > 0) return true;
    return (this.#needed[held] as number) === (this.#needs[operation] === held ? 1 : 0);
  }

  push(operation: number): void {
    this.#count(operation, -1);
    const leaves = this.#leaves[operation] as number;
    if (leaves < 0) return;
    const object = this.#object[operation] as number;
    this.#replaced.push(this.#held[object] as number);
    this.#held[object] = leaves;
  }

  pop(operation: number): void {
    this.#count(operation, 1);
    if ((this.#leaves[operation] as number) < 0) return;
    this.#held[this.#object[operation] as number] = this.#replaced.pop() as number;
  }

  #count(operation: number, by: 1 | -1): void {
    const needs = this.#needs[operation] as number;
    const leaves = this.#leaves[operation] as number;
    if (needs >= 0) this.#needed[needs] = (this.#needed[needs] as number) + by;
    if (leaves >= 0) this.#left[leaves] = (this.#left[leaves] as number) + by;
  }
}

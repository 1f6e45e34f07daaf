/** States as small numbers: equal states have the same one. */
import type { AnyModel } from "./model.ts";

/** What an entry costs beside its key, by estimate. */
const entryBytes = 64;

export class StateTable {
  readonly states: unknown[] = [];
  readonly #model: AnyModel;
  readonly #numbers = new Map<unknown, number>();
  readonly #keep: (bytes: number) => void;
  #bytes = 0;

  constructor(model: AnyModel, keep: (bytes: number) => void) {
    this.#model = model;
    this.#keep = keep;
  }

  number(state: unknown): number {
    const key = this.#model.key(state);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.states.length;
    this.states.push(state);
    this.#numbers.set(key, number);
    const bytes = entryBytes + (typeof key === "string" ? key.length * 2 : 0);
    this.#bytes += bytes;
    this.#keep(bytes);
    return number;
  }

  release(): void {
    this.#keep(-this.#bytes);
  }
}

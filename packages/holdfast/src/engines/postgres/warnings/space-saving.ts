/**
 * The most frequent keys of a stream, in bounded memory. A key that is not counted yet takes the place of the
 * rarest, and its count, as what it may at most have had before.
 *
 * For each key that is kept: `count - error` <= how often it came <= `count`. Every key that came more often than
 * `total / capacity` is kept.
 *
 * @see A. Metwally, D. Agrawal, A. El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005
 */
export interface Frequent {
  readonly key: string;
  readonly count: number;
  readonly error: number;
}

export class SpaceSaving {
  readonly #capacity: number;
  readonly #counts = new Map<string, { count: number; error: number }>();
  #total = 0;

  constructor(capacity: number) {
    if (!(Number.isInteger(capacity) && capacity > 0))
      throw new RangeError(`capacity should be a whole number from 1, got ${capacity}`);
    this.#capacity = capacity;
  }

  get total(): number {
    return this.#total;
  }

  add(key: string): void {
    this.#total++;
    const known = this.#counts.get(key);
    if (known) {
      known.count++;
      return;
    }
    if (this.#counts.size < this.#capacity) {
      this.#counts.set(key, { count: 1, error: 0 });
      return;
    }
    let rarest = "";
    let least = Number.POSITIVE_INFINITY;
    for (const [one, { count }] of this.#counts) {
      if (count >= least) continue;
      rarest = one;
      least = count;
    }
    this.#counts.delete(rarest);
    this.#counts.set(key, { count: least + 1, error: least });
  }

  /** The most frequent first. */
  top(): Frequent[] {
    return [...this.#counts]
      .map(([key, { count, error }]) => ({ key, count, error }))
      .sort((a, b) => b.count - b.error - (a.count - a.error));
  }
}

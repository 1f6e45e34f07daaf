/**
 * Counts how often one call runs each statement. Many times the same one is usually a loop that asks for each row of
 * a list (N+1 queries). One on every shard, once each, is a question to all shards, and none of that.
 */
export interface Repeat {
  count: number;
  readonly shards: Set<number>;
}

/** Shapes told apart in one call; what comes beyond is not counted. */
const shapesMax = 200;

export class Repeats {
  readonly #shapes = new Map<string, Repeat>();

  /** @returns the count, when with this use it has become suspicious: once for each shape */
  add(shape: string, shard: number, atLeast: number): Repeat | undefined {
    let repeat = this.#shapes.get(shape);
    if (!repeat) {
      if (this.#shapes.size >= shapesMax) return undefined;
      repeat = { count: 0, shards: new Set() };
      this.#shapes.set(shape, repeat);
    }
    const was = isRepeated(repeat, atLeast);
    repeat.count++;
    repeat.shards.add(shard);
    return !was && isRepeated(repeat, atLeast) ? repeat : undefined;
  }
}

function isRepeated({ count, shards }: Repeat, atLeast: number): boolean {
  return count >= atLeast && count > shards.size;
}

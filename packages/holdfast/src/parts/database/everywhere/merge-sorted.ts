/**
 * Merges sorted lists into one, as far as it is wanted: a heap of the lists, by their next item.
 */

/**
 * The first `count` items of all lists together. Of equal items the one of the earlier list comes first.
 *
 * @throws {RangeError} when a list turns out not to be sorted
 */
export function mergeSorted<T>(
  lists: readonly (readonly T[])[],
  count: number,
  compare: (a: T, b: T) => number,
): T[] {
  const next = lists.map(() => 0);
  const head = (list: number): T => lists[list]?.[next[list] as number] as T;
  const isBefore = (a: number, b: number) => {
    const order = compare(head(a), head(b));
    return order < 0 || (order === 0 && a < b);
  };
  const heap = lists.flatMap((list, index) => (list.length > 0 ? [index] : []));
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) sink(heap, i, isBefore);

  const merged: T[] = [];
  while (heap.length > 0 && merged.length < count) {
    const list = heap[0] as number;
    const item = head(list);
    merged.push(item);
    next[list] = (next[list] as number) + 1;
    if ((next[list] as number) < (lists[list]?.length ?? 0)) {
      if (compare(item, head(list)) > 0) throw new RangeError(`list ${list} is not sorted`);
    } else {
      const last = heap.pop() as number;
      if (heap.length === 0) break;
      heap[0] = last;
    }
    sink(heap, 0, isBefore);
  }
  return merged;
}

/** Restores the heap below `from`, whose list may be too far up. */
function sink(heap: number[], from: number, isBefore: (a: number, b: number) => boolean): void {
  let at = from;
  for (;;) {
    const left = 2 * at + 1;
    let first = at;
    for (const child of [left, left + 1]) {
      if (child < heap.length && isBefore(heap[child] as number, heap[first] as number)) first = child;
    }
    if (first === at) return;
    [heap[at], heap[first]] = [heap[first] as number, heap[at] as number];
    at = first;
  }
}

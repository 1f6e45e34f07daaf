/**
 * A doubly linked list of numbered entries from which entries are taken out and put back in the reverse order,
 * each in constant time. @see D. Knuth, "Dancing Links", 2000; G. Lowe, "Testing for linearizability", 2017
 */
export class EntryList {
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** Stands before the first and after the last. */
  readonly head: number;

  /** @param order the entries 0 to `order.length - 1`, each once */
  constructor(order: ArrayLike<number>) {
    const head = order.length;
    this.head = head;
    this.next = new Int32Array(head + 1);
    this.previous = new Int32Array(head + 1);
    let last = head;
    for (let i = 0; i < head; i++) {
      const entry = order[i] as number;
      this.next[last] = entry;
      this.previous[entry] = last;
      last = entry;
    }
    this.next[last] = head;
    this.previous[head] = last;
  }

  lift(entry: number): void {
    const before = this.previous[entry] as number;
    const after = this.next[entry] as number;
    this.next[before] = after;
    this.previous[after] = before;
  }

  unlift(entry: number): void {
    this.next[this.previous[entry] as number] = entry;
    this.previous[this.next[entry] as number] = entry;
  }
}

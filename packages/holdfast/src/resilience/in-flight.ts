/**
 * What is under way right now, for sets that everything passes through: requests, messages, waiters.
 *
 * A `Set` does that too, but leaves a trap for the garbage collector. When V8 rehashes one, the old table keeps
 * its entries and points to the new table. Once such a dead table has been promoted to the old generation, each
 * young collection takes its entries for living and promotes them too, and so on down the chain, until the next
 * full collection. At 20,000 requests a second in a gateway that was most of the memory, and pauses of 20 to 40 ms.
 * An array of slots that are used again keeps nothing.
 */

export interface InFlightEntry {
  /** Belongs to the set that the entry is in: -1 while it is in none. An entry is in one set at a time. */
  slot: number;
}

export class InFlight<Entry extends InFlightEntry> implements Iterable<Entry> {
  readonly #slots: (Entry | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** @throws {RangeError} when the entry is in a set already */
  add(entry: Entry): void {
    if (entry.slot !== -1) throw new RangeError("an entry is in one set at a time");
    entry.slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[entry.slot] = entry;
  }

  has(entry: Entry): boolean {
    return this.#slots[entry.slot] === entry;
  }

  /** @returns whether the entry was there */
  delete(entry: Entry): boolean {
    if (!this.has(entry)) return false;
    this.#slots[entry.slot] = undefined;
    this.#free.push(entry.slot);
    entry.slot = -1;
    return true;
  }

  /** In no particular order. Entries may be added and deleted meanwhile; added ones may or may not be met. */
  *[Symbol.iterator](): IterableIterator<Entry> {
    for (let slot = 0; slot < this.#slots.length; slot++) {
      const entry = this.#slots[slot];
      if (entry) yield entry;
    }
  }
}

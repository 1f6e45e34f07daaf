const head = 5;

/**
 * Which configurations a search has seen: the set of linearised operations, and the state. Exact: a hash finds the
 * place, and the whole of it is compared.
 *
 * A configuration also counts as seen when another was that has linearised fewer of the operations that need not be:
 * whatever can still happen here can happen there. Without that, hundreds of timed-out writes would be tried in all
 * combinations.
 *
 * Operations that must take effect are linearised nearly in the order in which they were invoked, so of their
 * bitset only the words are kept from the first operation that is missing to the last that is there.
 */
export class ConfigMemo {
  /** Offset of a record in the arena plus one; 0 is free. A power of two long. */
  #slots = new Int32Array(1 << 6);
  /** Records: hash, words of each set, state, first word, then the words of both sets. */
  #arena = new Int32Array(1 << 8);
  #end = 0;
  #count = 0;
  readonly #keep: (bytes: number) => void;

  /** @param keep told how many bytes more are kept */
  constructor(keep: (bytes: number) => void) {
    this.#keep = keep;
    keep(this.#bytes);
  }

  /**
   * @param hash of the required ones; the state is added here
   * @param from first word of `required` that counts
   * @param to last word of `required` that counts; below `from` when none does
   * @returns whether it was new: whether none was seen that differs at most by having fewer optional ones
   */
  add(
    hash: number,
    state: number,
    required: Int32Array,
    from: number,
    to: number,
    optional: Int32Array,
    optionalTo: number,
  ): boolean {
    const words = Math.max(0, to - from + 1);
    const length = head + words + optionalTo + 1;
    if (this.#end + length > this.#arena.length) this.#growArena(length);
    const arena = this.#arena;
    const record = this.#end;
    const mixed = mix(hash ^ Math.imul(state + 1, 0x9e3779b1));
    arena[record] = mixed;
    arena[record + 1] = words;
    arena[record + 2] = optionalTo;
    arena[record + 3] = state;
    arena[record + 4] = from;
    for (let i = 0; i < words; i++) arena[record + head + i] = required[from + i] as number;
    for (let i = 0; i <= optionalTo; i++) arena[record + head + words + i] = optional[i] as number;
    const mask = this.#slots.length - 1;
    let slot = mixed & mask;
    for (let at = this.#slots[slot] as number; at !== 0; at = this.#slots[slot] as number) {
      if (this.#covers(at - 1, record)) return false;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = record + 1;
    this.#end += length;
    if (++this.#count * 2 > this.#slots.length) this.#growSlots();
    return true;
  }

  /** Gives back what is kept. */
  release(): void {
    this.#keep(-this.#bytes);
    this.#slots = new Int32Array(0);
    this.#arena = new Int32Array(0);
  }

  get #bytes(): number {
    return 4 * (this.#slots.length + this.#arena.length);
  }

  /** Whether record `a` is like record `b` in all but its optional operations, and of those has no other. */
  #covers(a: number, b: number): boolean {
    const arena = this.#arena;
    if (arena[a] !== arena[b] || arena[a + 1] !== arena[b + 1]) return false;
    if ((arena[a + 2] as number) > (arena[b + 2] as number)) return false;
    const optionalAt = head + (arena[a + 1] as number);
    for (let i = 3; i < optionalAt; i++) if (arena[a + i] !== arena[b + i]) return false;
    const end = optionalAt + (arena[a + 2] as number);
    for (let i = optionalAt; i <= end; i++)
      if (((arena[a + i] as number) & ~(arena[b + i] as number)) !== 0) return false;
    return true;
  }

  #growArena(length: number): void {
    const grown = new Int32Array(Math.max(this.#arena.length * 2, this.#end + length));
    this.#keep(4 * (grown.length - this.#arena.length));
    grown.set(this.#arena);
    this.#arena = grown;
  }

  #growSlots(): void {
    const grown = new Int32Array(this.#slots.length * 2);
    this.#keep(4 * this.#slots.length);
    const mask = grown.length - 1;
    for (const at of this.#slots) {
      if (at === 0) continue;
      let slot = (this.#arena[at - 1] as number) & mask;
      while (grown[slot] !== 0) slot = (slot + 1) & mask;
      grown[slot] = at;
    }
    this.#slots = grown;
  }
}

/** Scatters the bits of a whole number. @see A. Appleby, MurmurHash3, fmix32 */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

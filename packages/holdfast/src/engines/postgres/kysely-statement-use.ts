/**
 * Which statements come again, and are therefore worth preparing: a prepared one saves parsing and planning on
 * each further use, one that is used once costs a plan that nobody uses.
 */
const textsMax = 2_000;
/** Longer texts are mostly lists of values that differ each time. */
const textLengthMax = 10_000;

export class StatementUse {
  #seen = new Set<string>();

  /** Counts a use. @returns whether the same text was used before */
  isRepeated(text: string): boolean {
    if (text.length > textLengthMax) return false;
    if (this.#seen.has(text)) return true;
    // Statements that never come again would fill it; those that do are back after their next use.
    if (this.#seen.size >= textsMax) this.#seen = new Set();
    this.#seen.add(text);
    return false;
  }
}

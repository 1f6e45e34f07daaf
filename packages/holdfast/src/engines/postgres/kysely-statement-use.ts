/**
 * What is known of statements that came before: which come again, and are therefore worth preparing (that saves
 * parsing and planning on each further use; one that is used once costs a plan that nobody uses), and which are quick.
 */
const textsMax = 2_000;
/** Longer texts are mostly lists of values that differ each time. */
const textLengthMax = 10_000;
/** An answer within this time is quick, in milliseconds. */
const quickMsMax = 10;

export interface KnownUse {
  /** Whether its last answer was. */
  quick: boolean;
}

export class StatementUse {
  #seen = new Map<string, KnownUse>();

  /** Counts a use. @returns what is known of the text from its uses before, if it had any */
  use(text: string): KnownUse | undefined {
    const known = this.#seen.get(text);
    if (known || text.length > textLengthMax) return known;
    // Statements that never come again would fill it; those that do are back after their next use.
    if (this.#seen.size >= textsMax) this.#seen = new Map();
    this.#seen.set(text, { quick: false });
    return undefined;
  }

  answered(text: string, ms: number): void {
    const known = this.#seen.get(text);
    if (known) known.quick = ms <= quickMsMax;
  }
}

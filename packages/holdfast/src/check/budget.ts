/** How long and how large a search may become before it answers `unknown`. */
export interface CheckBudget {
  /** Milliseconds. Default 60_000. */
  readonly timeMs?: number;
  /** Bytes that the search may keep, estimated. Default 1 GiB. */
  readonly memoryBytes?: number;
}

export const checkBudgetDefaults = { timeMs: 60_000, memoryBytes: 1 << 30 } as const satisfies CheckBudget;

/** Counts what is left. Asked in the innermost loops, so it reads the clock once in a thousand questions. */
export class BudgetMeter {
  readonly #nowMs: () => number;
  readonly #endMs: number;
  readonly #budget: Required<CheckBudget>;
  #bytes = 0;
  #asked = 0;
  #spent: string | undefined;

  constructor(nowMs: () => number, budget: CheckBudget = {}) {
    this.#budget = { ...checkBudgetDefaults, ...budget };
    this.#nowMs = nowMs;
    this.#endMs = nowMs() + this.#budget.timeMs;
  }

  /** Adds to what the search keeps; negative gives back. */
  keep(bytes: number): void {
    this.#bytes += bytes;
  }

  /** @returns why the search has to end now; `undefined` while it may go on */
  spent(): string | undefined {
    if (this.#spent !== undefined) return this.#spent;
    if (this.#bytes > this.#budget.memoryBytes)
      this.#spent = `the search would keep more than memoryBytes ${this.#budget.memoryBytes}`;
    else if ((++this.#asked & 1023) === 0 && this.#nowMs() >= this.#endMs)
      this.#spent = `the search took longer than timeMs ${this.#budget.timeMs}`;
    return this.#spent;
  }
}

/**
 * Lets a bounded number in, first come first served; and now and then one alone.
 *
 * Alone goes a batch that was begun before and whose end nobody told: perhaps it killed its process. If it does so
 * again, nothing else was under way there that would be taken for the culprit.
 */
export class Gate {
  readonly #size: number;
  readonly #waiting: { readonly alone: boolean; readonly enter: () => void }[] = [];
  #inside = 0;
  #alone = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Rejects with the signal's reason when it aborts before there is room. */
  async enter(signal: AbortSignal, alone = false): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiter = {
        alone,
        enter: () => {
          signal.removeEventListener("abort", leave);
          resolve();
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
        this.#admit();
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiter);
      this.#admit();
    });
  }

  /** Hands the place to the next. */
  leave(): void {
    this.#inside--;
    this.#alone = false;
    this.#admit();
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const hasRoom = !this.#alone && this.#inside < (next.alone ? 1 : this.#size);
      if (!hasRoom) return;
      this.#waiting.shift();
      this.#inside++;
      this.#alone = next.alone;
      next.enter();
    }
  }
}

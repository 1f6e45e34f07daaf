/** Waiting that somebody else can end. */
import type { Clock } from "../clock/index.ts";

/** A wait that can be cut short, also by a word that comes before it. */
export class Nudge {
  readonly #clock: Clock;
  #pending = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): void {
    this.#pending = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.timer(ms, resolve, { ref: true });
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#pending = false;
    this.#wake = undefined;
  }
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

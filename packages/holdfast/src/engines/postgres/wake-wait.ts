/** Waiting for something to read, which a wake-up ends; one that came after the last look ends the next wait at once. */
import type { Clock } from "../../clock/index.ts";

export class WakeWait {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #woken = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A look begins: what is there now, it finds. */
  looking(): void {
    this.#woken = false;
  }

  wake(): void {
    this.#woken = true;
    for (const resolve of this.#waiting) resolve();
  }

  /** Resolves when it was woken, after `maxWaitMs`, or when `signal` aborts. */
  async wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#woken || signal.aborted) {
      this.#woken = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#clock.timer(maxWaitMs, done, { ref: true });
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

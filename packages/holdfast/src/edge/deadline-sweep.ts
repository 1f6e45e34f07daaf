/**
 * One coarse timer for all requests under way, instead of one timer for each.
 *
 * Most requests end long before their deadline, so what matters is that adding and removing one costs next to
 * nothing. The price: a deadline is noticed up to `sweepMs` late.
 */
import type { Clock, Timer } from "../clock/index.ts";
import { InFlight, type InFlightEntry } from "../resilience/index.ts";

export interface Expiring extends InFlightEntry {
  /** On the clock's monotonic scale. */
  readonly deadlineAtMs: number;
  /** Called once, after the deadline has passed; the sweep has let go of it by then. */
  expire(): void;
}

export class DeadlineSweep<Entry extends Expiring> {
  readonly #clock: Clock;
  readonly #sweepMs: number;
  readonly #entries = new InFlight<Entry>();
  #timer: Timer | undefined;

  constructor(clock: Clock, sweepMs = 100) {
    this.#clock = clock;
    this.#sweepMs = sweepMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#timer ??= this.#clock.timer(this.#sweepMs, this.#sweep);
  }

  delete(entry: Entry): void {
    this.#entries.delete(entry);
  }

  readonly #sweep = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#entries) {
      if (entry.deadlineAtMs > nowMs) continue;
      this.#entries.delete(entry);
      entry.expire();
    }
    // `expire` may have added entries, and with them armed the timer.
    if (this.#entries.size > 0) this.#timer ??= this.#clock.timer(this.#sweepMs, this.#sweep);
  };
}

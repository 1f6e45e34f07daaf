/**
 * The one seam through which every part reports what it does: start, end and outcome of each operation.
 * Logs, metrics, traces and histories subscribe here; no part knows them.
 */
import type { Clock } from "../clock/index.ts";
import type { Call } from "./call.ts";
import { outcomeOf } from "./holdfast-error.ts";
import type { Outcome } from "./outcome.ts";

export interface OperationStart {
  /** Unique within this seam, rising. */
  readonly id: number;
  /** Kind and name of the part, such as `database` and `links`. */
  readonly kind: string;
  readonly part: string;
  /** What is done, such as `write`. */
  readonly operation: string;
  readonly call: Call | undefined;
  /** On the monotonic clock. */
  readonly startMs: number;
  readonly attributes: OperationAttributes;
}

/** Facts about the operation: small values, never secrets and never payloads. */
export type OperationAttributes = Readonly<Record<string, string | number | boolean>>;

export interface OperationEnd extends OperationStart {
  readonly outcome: Outcome;
  readonly durationMs: number;
  readonly error: unknown;
  /** What it answered, when it was applied. For histories; may be large or secret, so never logged. */
  readonly result: unknown;
  /** Whether `error` is what the caller's own function threw, and for certain nothing of the operation was kept. */
  readonly undone: boolean;
}

export interface SeamObserver {
  start?(operation: OperationStart): void;
  end?(operation: OperationEnd): void;
}

/**
 * Says, right before an operation fails, that its error is what the caller's own function threw, and that nothing
 * of the operation was kept: the caller's own answer, which passes through as it is, and no failure of the part.
 */
export type Undone = () => void;

const unheard: Undone = () => {};
const noAttributes: OperationAttributes = Object.freeze({});

export class Seam {
  readonly #clock: Clock;
  readonly #observers = new Set<SeamObserver>();
  #started = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether anybody listens: hot paths skip what only reports would need. */
  get observed(): boolean {
    return this.#observers.size > 0;
  }

  /** @returns how to stop observing */
  observe(observer: SeamObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * Runs one operation of a part and reports it. Costs one branch when nobody observes.
   * An observer that throws is dropped: watching must never break what is watched.
   */
  async operation<T>(
    kind: string,
    part: string,
    operation: string,
    call: Call | undefined,
    run: (undone: Undone) => Promise<T>,
    attributes: OperationAttributes = noAttributes,
  ): Promise<T> {
    if (this.#observers.size === 0) return run(unheard);
    const start: OperationStart = {
      id: ++this.#started,
      kind,
      part,
      operation,
      call,
      startMs: this.#clock.monotonicMs(),
      attributes,
    };
    this.#tell((observer) => observer.start?.(start));
    let undone = false;
    try {
      const value = await run(() => {
        undone = true;
      });
      this.#end(start, "applied", undefined, false, value);
      return value;
    } catch (error) {
      this.#end(start, undone ? "not-applied" : outcomeOf(error), error, undone);
      throw error;
    }
  }

  #end(start: OperationStart, outcome: Outcome, error: unknown, undone: boolean, result?: unknown): void {
    const end: OperationEnd = {
      ...start,
      outcome,
      durationMs: this.#clock.monotonicMs() - start.startMs,
      error,
      result,
      undone,
    };
    this.#tell((observer) => observer.end?.(end));
  }

  #tell(tell: (observer: SeamObserver) => void): void {
    for (const observer of this.#observers) {
      try {
        tell(observer);
      } catch {
        this.#observers.delete(observer);
      }
    }
  }
}

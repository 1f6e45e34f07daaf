/**
 * How to undo what was started, in the reverse of its order, within one bound for all of it. Used by a stop and
 * by a start that failed half-way.
 */
import type { Clock } from "../clock/index.ts";

/** @param drainMs how long what is under way may still take: asked when it is needed, because time passes */
export type Undo = (drainMs: () => number) => Promise<void> | void;

export interface Teardown {
  /** Adds what undoes the step that was just begun. */
  push(undo: Undo): void;
  /** Aborts when nothing is waited for any more. */
  readonly atOnce: AbortSignal;
  /** Makes a running or later `run` wait for nothing. */
  hurry(): void;
  /** Undoes everything. Called again, it waits for the first call. Never rejects. */
  run(): Promise<void>;
}

export interface TeardownOptions {
  readonly clock: Clock;
  /** How long everything together may take to drain, in milliseconds. */
  readonly drainMs: number;
  /** Told what could not be undone; the rest is undone nevertheless. */
  readonly failed: (error: unknown) => void;
}

export function teardown({ clock, drainMs, failed }: TeardownOptions): Teardown {
  const stack: Undo[] = [];
  const atOnce = new AbortController();
  let running: Promise<void> | undefined;
  const run = async () => {
    const untilMs = clock.monotonicMs() + drainMs;
    const leftMs = () => (atOnce.signal.aborted ? 0 : Math.max(0, untilMs - clock.monotonicMs()));
    for (let undo = stack.pop(); undo; undo = stack.pop()) {
      try {
        await undo(leftMs);
      } catch (error) {
        failed(error);
      }
    }
  };
  return {
    push: (undo) => void stack.push(undo),
    atOnce: atOnce.signal,
    hurry: () => atOnce.abort(),
    run() {
      running ??= run();
      return running;
    },
  };
}

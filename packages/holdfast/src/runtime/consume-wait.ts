/** Pauses of a worker's loop: after failures, and while nothing comes. */
import type { Clock } from "../clock/index.ts";
import type { TopicPort } from "../parts/topic/index.ts";

/** Exponential, 50 ms to 5 s, with jitter over its upper half: never hot, never all at once. */
export function backoffMs(clock: Clock, failures: number): number {
  return Math.min(5_000, 50 * 2 ** Math.min(failures - 1, 20)) * (0.5 + clock.random.next() / 2);
}

/**
 * Waiting for messages, once for all partitions, so that they ask again together. From 20 ms up to 250 ms
 * while nothing comes; the topic's wake-up usually ends it sooner.
 */
export class IdleWait {
  readonly #topic: TopicPort;
  readonly #stop: AbortSignal;
  #round: Promise<void> | undefined;
  #pauseMs = 20;

  constructor(topic: TopicPort, stop: AbortSignal) {
    this.#topic = topic;
    this.#stop = stop;
  }

  found(): void {
    this.#pauseMs = 20;
  }

  wait(): Promise<void> {
    this.#round ??= this.#topic.wait(this.#pauseMs, this.#stop).finally(() => {
      this.#round = undefined;
      this.#pauseMs = Math.min(this.#pauseMs * 2, 250);
    });
    return this.#round;
  }
}

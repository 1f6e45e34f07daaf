/**
 * Sends clicks to the topic without holding redirects up.
 *
 * A redirect hands its click over and waits a moment for the commit. Clicks that come while a publish is
 * under way go out together in the next one, so that a busy instance commits many clicks at once. When
 * publishing fails, or ends unknown, the clicks stay here and are sent again under the same ids (the tally
 * counts an id once); redirects then no longer wait. The buffer is bounded: what does not fit, or has waited
 * too long, is dropped, counted and reported. What is in the buffer when the process is killed is lost; the
 * answers of those redirects said `pending`.
 */
import { Call, HoldfastError, inCall } from "holdfast";
import type { Clock } from "holdfast/clock";
import { InFlight, type InFlightEntry } from "holdfast/resilience";
import type { Click } from "./click.ts";

/** `counted`: committed to the topic. `pending`: kept here, to be sent again. `dropped`: will not be counted. */
export type ClickFate = "counted" | "pending" | "dropped";

export interface ClickSenderOptions {
  readonly clock: Clock;
  /** Commits all the clicks, or throws. */
  readonly publish: (clicks: readonly Click[]) => Promise<void>;
  /** Told when clicks are dropped, when publishing begins to fail, and when it works again. */
  readonly report?: (event: SenderEvent) => void;
  /** Longest that a redirect waits for its click's commit, in milliseconds. Default 150. */
  readonly waitMs?: number;
  /** Deadline of one publish, in milliseconds. Default 3_000. */
  readonly publishMs?: number;
  /** Most clicks in one publish. Default 500. */
  readonly batchMax?: number;
  /** Publishes under way at once. Default 2: one commits while the next one fills. */
  readonly publishesMax?: number;
  /** Most clicks kept, under way ones included. Default 20_000, some 10 MB at the very most. */
  readonly capacity?: number;
  /** Oldest click that is still sent, in milliseconds. Default 3_600_000; ids are remembered for longer. */
  readonly ageMsMax?: number;
}

export type SenderEvent =
  | { readonly kind: "failing"; readonly error: unknown; readonly pending: number }
  | { readonly kind: "recovered"; readonly pending: number }
  | { readonly kind: "dropped"; readonly why: "full" | "old" | "refused"; readonly count: number };

export interface Uncounted {
  /** Clicks that are kept here to be sent again. */
  readonly pending: number;
  /** Clicks that this instance has given up since it started. */
  readonly dropped: number;
}

export interface ClickSender {
  /** Never rejects, and resolves within about `waitMs`. */
  send(click: Click): Promise<ClickFate>;
  uncounted(): Uncounted;
  /** Resolves when nothing is kept or under way, or after `withinMs`. */
  flush(withinMs: number): Promise<void>;
}

interface Kept extends InFlightEntry {
  readonly click: Click;
  readonly sinceMs: number;
  /** Answers the redirect; undefined once it has been answered. */
  answer: ((fate: ClickFate) => void) | undefined;
}

const backoffMs = { first: 100, most: 2_000 } as const;

export function clickSender(options: ClickSenderOptions): ClickSender {
  const { clock, publish, report = () => {}, waitMs = 150, publishMs = 3_000 } = options;
  const { batchMax = 500, publishesMax = 2, capacity = 20_000, ageMsMax = 3_600_000 } = options;
  let queue: Kept[] = [];
  /** Redirects that wait for their answer. */
  const waiting = new InFlight<Kept>();
  let underWay = 0;
  let clicksUnderWay = 0;
  let failures = 0;
  let dropped = 0;
  const unreportedDrops = new Map<"full" | "old" | "refused", number>();
  let resting = false;
  let sweeping = false;
  const idle = new Set<() => void>();

  const answer = (kept: Kept, fate: ClickFate) => {
    waiting.delete(kept);
    kept.answer?.(fate);
    kept.answer = undefined;
  };

  const drop = (given: readonly Kept[], why: "full" | "old" | "refused") => {
    if (given.length === 0) return;
    dropped += given.length;
    for (const kept of given) answer(kept, "dropped");
    // One report a second, however many are dropped: an outage should not drown the log.
    const unreported = unreportedDrops.get(why) ?? 0;
    unreportedDrops.set(why, unreported + given.length);
    if (unreported > 0) return;
    clock.timer(1_000, () => {
      report({ kind: "dropped", why, count: unreportedDrops.get(why) ?? 0 });
      unreportedDrops.delete(why);
    });
  };

  /** One timer for all who wait, instead of one for each. */
  const sweep = () => {
    sweeping = false;
    const untilMs = clock.monotonicMs() - waitMs;
    for (const kept of waiting) {
      if (kept.sinceMs <= untilMs) answer(kept, "pending");
    }
    startSweeping();
  };
  const startSweeping = () => {
    if (sweeping || waiting.size === 0) return;
    sweeping = true;
    clock.timer(waitMs / 5, sweep);
  };

  const pump = () => {
    while (!resting && queue.length > 0 && underWay < (failures > 0 ? 1 : publishesMax)) {
      const batch = queue.slice(0, batchMax);
      queue = queue.slice(batchMax);
      void sendBatch(batch);
    }
    if (queue.length === 0 && underWay === 0) {
      for (const wake of idle) wake();
      idle.clear();
    }
  };

  const sendBatch = async (batch: readonly Kept[]) => {
    const oldestMs = clock.monotonicMs() - ageMsMax;
    const old = batch.filter((kept) => kept.sinceMs < oldestMs);
    const sent = old.length === 0 ? batch : batch.filter((kept) => kept.sinceMs >= oldestMs);
    drop(old, "old");
    underWay++;
    clicksUnderWay += sent.length;
    try {
      // A call of its own: the batch belongs to many requests, and outlives each of them.
      const call = new Call(clock, { timeoutMs: publishMs });
      if (sent.length > 0) await inCall(call, () => publish(sent.map((kept) => kept.click)));
      if (failures > 0) report({ kind: "recovered", pending: queue.length });
      failures = 0;
      for (const kept of sent) answer(kept, "counted");
    } catch (error) {
      // A message that does not fit will never fit: keeping it would stop all the others.
      if (error instanceof HoldfastError && error.code === "HOLDFAST_INPUT_INVALID") drop(sent, "refused");
      else keepForLater(sent, error);
    } finally {
      underWay--;
      clicksUnderWay -= sent.length;
      pump();
    }
  };

  const keepForLater = (batch: readonly Kept[], error: unknown) => {
    failures++;
    queue = [...batch, ...queue];
    for (const kept of [...waiting]) answer(kept, "pending");
    if (failures === 1) report({ kind: "failing", error, pending: queue.length });
    if (resting) return;
    resting = true;
    const restMs = Math.min(backoffMs.most, backoffMs.first * 2 ** (failures - 1));
    clock.timer(restMs * (0.5 + clock.random.next() / 2), () => {
      resting = false;
      pump();
    });
  };

  return {
    send(click) {
      const kept: Kept = { click, sinceMs: clock.monotonicMs(), answer: undefined, slot: -1 };
      if (queue.length + clicksUnderWay >= capacity) {
        drop([kept], "full");
        return Promise.resolve("dropped");
      }
      queue.push(kept);
      if (failures > 0) {
        pump();
        return Promise.resolve("pending");
      }
      return new Promise((resolve) => {
        kept.answer = resolve;
        waiting.add(kept);
        startSweeping();
        pump();
      });
    },
    uncounted: () => ({ pending: queue.length + clicksUnderWay, dropped }),
    async flush(withinMs) {
      if (queue.length === 0 && underWay === 0) return;
      await new Promise<void>((resolve) => {
        const timer = clock.timer(withinMs, () => {
          idle.delete(done);
          resolve();
        });
        const done = () => {
          timer.cancel();
          resolve();
        };
        idle.add(done);
      });
    },
  };
}

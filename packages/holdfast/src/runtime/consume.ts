/**
 * The loop of a worker process: joins the consumer's group, works on the partitions it holds, and drains.
 *
 * Heartbeats keep the membership and say which partitions are held; each of those has a runner of its own
 * (`consume-partition.ts`). When no heartbeat has come through for a whole lease, the process stops by itself:
 * by then the partitions may have passed to others, and all it could still do is work that is thrown away.
 *
 * On abort it takes no further batch, lets those under way end, leaves the group, and resolves.
 */
import { HoldfastError } from "../call/index.ts";
import type { PartitionClaim } from "../parts/topic/index.ts";
import { abortGraceMs } from "./consume-attempt.ts";
import { Gate } from "./consume-gate.ts";
import { type ConsumeEnv, type ConsumeOptions, consumeDefaults } from "./consume-options.ts";
import { runPartition } from "./consume-partition.ts";
import { backoffMs, IdleWait } from "./consume-wait.ts";
import { aborted, Nudge } from "./nudge.ts";

/** Batches that are held for each handler that may run: one that is handled, and one that waits. */
const heldPerHandler = 2;

/**
 * @returns when everything is drained and left
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the topic cannot be consumed as declared,
 *   HOLDFAST_FENCED when another process has started under this name. Anything else is reported to `onError`
 *   and tried again.
 */
export async function consumeTopic<Value = never>(options: ConsumeOptions<Value>): Promise<void> {
  const { worker, topic, clock, signal } = options;
  const { leaseMs, concurrency, startAt, only } = worker.options;
  const opening = { from: startAt, only, ephemeral: options.ephemeral };
  // Sorts by when it began: of two processes of one name the later one is the successor.
  const began = Math.max(0, Math.floor(clock.wallMs())).toString(36).padStart(9, "0");
  const incarnation = `${began}${Buffer.from(clock.random.bytes(4)).toString("hex")}`;
  const member = `${options.memberName}@${incarnation}`;
  const drainMs = options.drainMs ?? consumeDefaults.drainMs;
  if (signal.aborted) return;

  /** Aborts the handlers that outlast draining. */
  const hard = new AbortController();
  const nudge = new Nudge(clock);
  const env: ConsumeEnv<Value> = {
    ...options,
    stop: signal,
    idle: new IdleWait(topic, signal),
    held: new Gate(concurrency * heldPerHandler),
    gate: new Gate(concurrency),
    report: (error, context) => options.onError?.(error, context),
    fenced: () => nudge.now(),
  };
  const runners = new Map<number, Runner>();

  const start = (claim: PartitionClaim, after: Promise<void> | undefined): void => {
    const lost = new AbortController();
    const done = (async () => {
      await after;
      const abort = AbortSignal.any([lost.signal, hard.signal]);
      await runPartition(env, claim, abort);
    })().finally(() => {
      if (runners.get(claim.partition)?.lost === lost) runners.delete(claim.partition);
    });
    runners.set(claim.partition, { epoch: claim.epoch, lost, done });
  };
  const hold = (claims: readonly PartitionClaim[]): void => {
    for (const [partition, runner] of runners) {
      if (!claims.some((claim) => claim.partition === partition && claim.epoch === runner.epoch)) {
        runner.lost.abort(lostError(worker.name, partition));
      }
    }
    if (signal.aborted) return;
    for (const claim of claims) {
      const runner = runners.get(claim.partition);
      if (runner && !runner.lost.signal.aborted) continue;
      start(claim, runner?.done);
    }
  };

  let left = false;
  const beat = async (): Promise<void> => {
    let failures = 0;
    let aliveAtMs = clock.monotonicMs();
    while (!left) {
      const askedAtMs = clock.monotonicMs();
      // Also while the heartbeat itself has no answer: one to a home that stands still has none for long.
      const expiry = clock.timer(Math.max(0, aliveAtMs + leaseMs - askedAtMs), () => hold([]));
      try {
        const claims = await topic.heartbeat(worker.name, member, leaseMs, opening);
        aliveAtMs = askedAtMs;
        failures = 0;
        hold(claims);
      } catch (error) {
        if (isFinal(error)) {
          hold([]);
          if (signal.aborted) return; // its successor is there already
          throw error;
        }
        failures++;
        env.report(error, { stage: "heartbeat", attempt: failures });
        if (clock.monotonicMs() - aliveAtMs > leaseMs) hold([]);
      } finally {
        expiry.cancel();
      }
      const pauseMs = leaseMs / 3;
      await nudge.wait(failures > 0 ? Math.min(pauseMs, backoffMs(clock, failures)) : pauseMs);
    }
  };

  const drained = async (): Promise<void> => {
    await aborted(signal);
    const deadline = clock.timer(drainMs, () => hard.abort(drainError(worker.name, drainMs)), { ref: true });
    const over = new Nudge(clock);
    const running = Promise.allSettled([...runners.values()].map((runner) => runner.done)).then(() =>
      over.now(),
    );
    await Promise.race([running, over.wait(drainMs + abortGraceMs)]);
    deadline.cancel();
    left = true;
    nudge.now();
  };

  const beating = beat();
  const draining = drained();
  // A heartbeat that can never succeed again ends the loop without draining.
  await Promise.race([beating, draining]);
  await beating;
  await draining;
  await topic
    .leave(worker.name, member)
    .catch((error: unknown) => env.report(error, { stage: "leave", attempt: 1 }));
}

/** The topic is not as declared, or another process has taken this one's name. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof HoldfastError &&
    (error.code === "HOLDFAST_OPTIONS_INVALID" || error.code === "HOLDFAST_FENCED")
  );
}

interface Runner {
  readonly epoch: bigint;
  readonly lost: AbortController;
  readonly done: Promise<void>;
}

function lostError(consumer: string, partition: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_FENCED",
    `Worker "${consumer}" no longer holds partition ${partition}; another member goes on with it. What was applied with batch.apply counts once all the same.`,
    { data: { consumer, partition } },
  );
}

function drainError(consumer: string, drainMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ABORTED",
    `Worker "${consumer}" is stopping, and its handler did not end within ${drainMs} ms. The batch comes again elsewhere.`,
    { data: { consumer, drainMs } },
  );
}

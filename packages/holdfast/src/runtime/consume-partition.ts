/**
 * One partition of a worker: takes a batch, has it handled, completes it, and so on until it is stopped or
 * the partition is lost.
 *
 * A batch whose handler throws comes again, the same messages under the same number, after a growing pause.
 * The other partitions go on meanwhile. After a failover that may have taken the batch's record along, the home is
 * asked for it again: it may have given the number to another batch.
 */
import { Call, HoldfastError, inCall, Session } from "../call/index.ts";
import type { Clock } from "../clock/index.ts";
import type { PartitionClaim, RecordedBatch, TopicPort } from "../parts/topic/index.ts";
import { openBatch } from "../parts/worker/index.ts";
import { inWorld } from "../parts/world.ts";
import type { ConsumeErrorContext, ConsumeOptions } from "./consume-options.ts";
import { heardSession, linkedTrace } from "./origin-call.ts";

export interface ConsumeEnv<Value> extends ConsumeOptions<Value> {
  /** Take no further batch. */
  readonly stop: AbortSignal;
  readonly idle: IdleWait;
  readonly gate: Gate;
  readonly report: (error: unknown, context: ConsumeErrorContext) => void;
  /** Told when the store says that the partition has passed to another member. */
  readonly fenced: () => void;
}

/**
 * @param abort the partition is lost, or draining has taken too long: what runs is given up
 * @returns when nothing of it runs any more
 */
export async function runPartition<Value>(
  env: ConsumeEnv<Value>,
  claim: PartitionClaim,
  abort: AbortSignal,
): Promise<void> {
  const { topic, worker, clock, stop } = env;
  const { partition } = claim;
  const over = AbortSignal.any([stop, abort]);
  let failures = 0;
  /** @returns whether to go on */
  const failed = async (
    error: unknown,
    stage: ConsumeErrorContext["stage"],
    sequence: bigint | undefined,
    until: AbortSignal,
  ): Promise<boolean> => {
    if (error instanceof HoldfastError && error.code === "HOLDFAST_FENCED" && stage !== "handle") {
      env.fenced();
      return false;
    }
    failures++;
    env.report(error, {
      stage,
      partition,
      attempt: failures,
      ...(sequence === undefined ? {} : { sequence }),
    });
    await clock.sleep(backoffMs(clock, failures), until).catch(() => {});
    return !until.aborted;
  };

  let last: RecordedBatch | undefined;
  let session = new Session();
  batches: while (!over.aborted) {
    let batch: RecordedBatch | undefined;
    try {
      batch = await topic.next(claim, worker.options.batch);
    } catch (error) {
      if (await failed(error, "next", undefined, over)) continue;
      return;
    }
    if (!batch) {
      failures = 0;
      await env.idle.wait();
      continue;
    }
    env.idle.found();
    const startMs = clock.monotonicMs();
    // One for all attempts: what it was told to be lost it is not told again.
    if (!isSame(batch, last)) session = heardSession(batch.messages.map((message) => message.session));
    last = batch;
    const { recordedAt } = batch;
    if (recordedAt) session.raise(recordedAt.node, recordedAt.position, "written");
    for (let handled = false; !handled; ) {
      if (over.aborted) return;
      try {
        await handle(env, batch, session, abort);
        handled = true;
      } catch (error) {
        if (abort.aborted) return; // told to stop, so it stopped
        if (!(await failed(error, "handle", batch.sequence, over))) return;
        if (error instanceof HoldfastError && error.code === "HOLDFAST_WRITE_LOST") continue batches;
      }
    }
    for (let completed = false; !completed; ) {
      try {
        await topic.complete(claim, batch.sequence);
        completed = true;
      } catch (error) {
        if (!(await failed(error, "complete", batch.sequence, abort))) return;
        // Its record is gone: what was applied on the home's node is gone with it.
        if (error instanceof HoldfastError && error.permanent) continue batches;
      }
    }
    failures = 0;
    env.onBatch?.({
      partition,
      sequence: batch.sequence,
      messages: batch.messages.length,
      durationMs: clock.monotonicMs() - startMs,
    });
  }
}

function isSame(batch: RecordedBatch, other: RecordedBatch | undefined): boolean {
  return (
    other !== undefined &&
    batch.sequence === other.sequence &&
    batch.messages.length === other.messages.length &&
    batch.messages.every(({ id }, at) => id === other.messages[at]?.id)
  );
}

/** Runs the handler in the worker's world, in a call of its own that is linked to the first message's trace. */
async function handle<Value>(
  env: ConsumeEnv<Value>,
  recorded: RecordedBatch,
  session: Session,
  abort: AbortSignal,
) {
  const { worker, world, clock, handler } = env;
  await env.gate.enter();
  const published = recorded.messages.find((message) => message.traceparent)?.traceparent;
  const trace = linkedTrace(published, clock.random);
  const call = new Call(clock, {
    signal: abort,
    ...(trace ? { trace } : {}),
    session,
  });
  // Numbers are the topic's: a worker that is moved to another topic begins anew on every shard.
  const consumer = `${worker.options.from.name}/${worker.name}`;
  const run = async () => handler(openBatch<Value>(consumer, recorded, abort));
  try {
    abort.throwIfAborted(); // the partition was lost while others ran
    await inCall(call, () =>
      world
        ? inWorld(world, () =>
            world.seam.operation("worker", worker.name, "batch", call, run, {
              partition: recorded.partition,
              sequence: recorded.sequence.toString(),
              messages: recorded.messages.length,
            }),
          )
        : run(),
    );
  } finally {
    call.end();
    env.gate.leave();
  }
}

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

/** Lets a bounded number in, first come first served. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Hands the place to the next. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

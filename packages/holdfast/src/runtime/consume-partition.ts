/**
 * One partition of a worker: takes a batch, has it handled, completes it, and so on until it is stopped or
 * the partition is lost.
 *
 * A batch whose handler throws comes again, the same messages under the same number, after a growing pause; one that
 * fails too often comes in pieces (`consume-failure.ts`). The other partitions go on meanwhile. Each time the home is
 * asked for it: it counts the attempts, and after a failover that took the batch's record along it may have given the
 * messages another number.
 */
import { HoldfastError, Session } from "../call/index.ts";
import type { PartitionClaim, RecordedBatch } from "../parts/topic/index.ts";
import { attemptBatch } from "./consume-attempt.ts";
import { afterFailure, whenExhausted } from "./consume-failure.ts";
import type { ConsumeEnv, ConsumeErrorContext } from "./consume-options.ts";
import { backoffMs } from "./consume-wait.ts";
import { heardSession } from "./origin-call.ts";

/** How a look for work ended. */
type Round = "worked" | "nothing" | "over";

/**
 * @param abort the partition is lost, or draining has taken too long: what runs is given up
 * @returns when nothing of it runs any more
 */
export async function runPartition<Value>(
  env: ConsumeEnv<Value>,
  claim: PartitionClaim,
  abort: AbortSignal,
): Promise<void> {
  const over = AbortSignal.any([env.stop, abort]);
  const work = new PartitionWork(env, claim, abort, over);
  while (!over.aborted) {
    // Few batches are held at a time, however many partitions there are: that bounds the memory.
    const entered = await env.held.enter(over).then(
      () => true,
      () => false,
    );
    if (!entered) return;
    const round = await work.round().finally(() => env.held.leave());
    if (round === "over") return;
    if (round === "nothing") await env.idle.wait();
    else if (work.pauseMs > 0) await env.clock.sleep(work.pauseMs, over).catch(() => {});
  }
}

class PartitionWork<Value> {
  readonly #env: ConsumeEnv<Value>;
  readonly #claim: PartitionClaim;
  readonly #abort: AbortSignal;
  readonly #over: AbortSignal;
  /** In a row. */
  #failures = 0;
  /** Of the batch before. */
  #last = "";
  #session = new Session();
  /** Until the next round, in milliseconds. */
  pauseMs = 0;

  constructor(env: ConsumeEnv<Value>, claim: PartitionClaim, abort: AbortSignal, over: AbortSignal) {
    this.#env = env;
    this.#claim = claim;
    this.#abort = abort;
    this.#over = over;
  }

  async round(): Promise<Round> {
    const { topic, worker, idle, clock } = this.#env;
    this.pauseMs = 0;
    let batch: RecordedBatch | undefined;
    try {
      batch = await topic.next(this.#claim, {
        messagesMax: worker.options.batch,
        bytesMax: worker.options.batchBytes,
      });
    } catch (error) {
      return this.#failed(error, "next", undefined);
    }
    if (!batch) {
      this.#failures = 0;
      return "nothing";
    }
    idle.found();
    if (this.#over.aborted) return "over";
    const startMs = clock.monotonicMs();
    const handled = await this.#handle(batch);
    if (handled !== "handled") return handled;
    return this.#complete(batch, startMs);
  }

  async #handle(batch: RecordedBatch): Promise<Round | "handled"> {
    const { topic, gate } = this.#env;
    // One for all attempts: what it was told to be lost it is not told again.
    const identity = identityOf(batch);
    if (identity !== this.#last)
      this.#session = heardSession(batch.messages.map((message) => message.session));
    this.#last = identity;
    const { recordedAt } = batch;
    if (recordedAt) this.#session.raise(recordedAt.node, recordedAt.position, "written");
    try {
      if (await whenExhausted(this.#env, this.#claim, batch)) return "worked";
    } catch (error) {
      return this.#failed(error, "isolate", batch.sequence);
    }
    let attempts = 1;
    let begun = false;
    try {
      await gate.enter(this.#over, batch.attempts > batch.reported);
    } catch {
      return "over";
    }
    try {
      if (!batch.fresh) attempts = await topic.begin(this.#claim, batch.sequence);
      begun = true;
      await attemptBatch(this.#env, batch, this.#session, this.#abort);
      return "handled";
    } catch (error) {
      if (!begun) return this.#failed(error, "begin", batch.sequence);
      return await this.#handlerFailed(batch, error, attempts);
    } finally {
      gate.leave();
    }
  }

  async #handlerFailed(batch: RecordedBatch, error: unknown, attempts: number): Promise<Round> {
    const { topic, report } = this.#env;
    const { sequence } = batch;
    if (this.#abort.aborted) {
      // Told to stop, so it stopped: that says nothing against the batch. Whoever has lost it cannot say so.
      const excuse = {
        code: "HOLDFAST_ABORTED",
        message: "Its worker was stopping.",
        outcome: "unknown",
      } as const;
      await topic.fail(this.#claim, sequence, excuse, false).catch(() => {});
      return "over";
    }
    this.#failures++;
    report(error, { stage: "handle", partition: this.#claim.partition, sequence, attempt: this.#failures });
    try {
      this.pauseMs = await afterFailure(this.#env, this.#claim, batch, error, {
        attempts,
        failures: this.#failures,
      });
      return "worked";
    } catch (told) {
      return this.#failed(told, "isolate", sequence);
    }
  }

  async #complete(batch: RecordedBatch, startMs: number): Promise<Round> {
    const { topic, clock, onBatch } = this.#env;
    for (;;) {
      try {
        await topic.complete(this.#claim, batch.sequence);
        break;
      } catch (error) {
        // Until the lease is gone: what was done should not be done again.
        const end = this.#failed(error, "complete", batch.sequence);
        if (end === "over" || this.#abort.aborted) return "over";
        // Its record is gone: what was applied on the home's node is gone with it.
        if (error instanceof HoldfastError && error.permanent) return end;
        await clock.sleep(this.pauseMs, this.#abort).catch(() => {});
      }
    }
    this.#failures = 0;
    this.pauseMs = 0;
    onBatch?.({
      partition: this.#claim.partition,
      sequence: batch.sequence,
      messages: batch.messages.length,
      durationMs: clock.monotonicMs() - startMs,
    });
    return "worked";
  }

  /** Of what the home was asked. */
  #failed(error: unknown, stage: ConsumeErrorContext["stage"], sequence: bigint | undefined): Round {
    const { clock, report, fenced } = this.#env;
    if (error instanceof HoldfastError && error.code === "HOLDFAST_FENCED") {
      fenced();
      return "over";
    }
    this.#failures++;
    report(error, {
      stage,
      partition: this.#claim.partition,
      attempt: this.#failures,
      ...(sequence === undefined ? {} : { sequence }),
    });
    this.pauseMs = backoffMs(clock, this.#failures);
    return "worked";
  }
}

/** Tells whether a batch is the one before, without keeping it. */
function identityOf({ sequence, messages }: RecordedBatch): string {
  return `${sequence}: ${messages.map(({ id }) => id).join()}`;
}

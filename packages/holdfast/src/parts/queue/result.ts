/** Waiting for what a job's handler answered. The store is asked, seldomer the longer it takes. */
import { currentCall, HoldfastError } from "../../call/index.ts";
import type { Clock } from "../../clock/index.ts";
import { valueError } from "../checked-value.ts";
import type { JobView, QueuePort } from "./port.ts";

export interface ResultOptions {
  /** How long to wait at most, in milliseconds, also within a call with a later deadline. Default 30_000. */
  readonly timeoutMs?: number;
  /** Ends the waiting; the job goes on. */
  readonly signal?: AbortSignal;
}

const defaultTimeoutMs = 30_000;
const pauseMs = { first: 10, max: 500 };

/** @throws {HoldfastError} when there is no result, or none within the time */
export async function awaitResult(
  queue: string,
  port: QueuePort,
  id: string,
  clock: Clock,
  { timeoutMs = defaultTimeoutMs, signal }: ResultOptions,
): Promise<unknown> {
  if (!(timeoutMs >= 0)) {
    throw valueError({ kind: "queue", name: queue }, `timeoutMs should be 0 or more, got ${timeoutMs}`);
  }
  const call = currentCall();
  const endMs = Math.min(clock.monotonicMs() + timeoutMs, call?.deadlineAtMs ?? Infinity);
  const signals = [signal, call?.signal].filter((one) => one !== undefined);
  const stop = signals.length > 0 ? AbortSignal.any(signals) : undefined;
  for (let pause = pauseMs.first; ; pause = Math.min(pause * 2, pauseMs.max)) {
    const job = await port.get(id);
    if (!job) throw unknownError(queue, id);
    if (job.state === "done") return job.result;
    if (job.state === "dead") throw deadError(queue, job);
    if (job.state === "cancelled") throw cancelledError(queue, id);
    const leftMs = endMs - clock.monotonicMs();
    if (leftMs <= 0) throw notYetError(queue, job);
    await clock.sleep(Math.min(pause, leftMs), stop);
  }
}

function unknownError(queue: string, id: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_JOB_UNKNOWN",
    `queue "${queue}" has no job ${id}, or has it no more: ended jobs are kept for keepDoneMs.`,
    { data: { queue, id } },
  );
}

function deadError(queue: string, { id, attempt, failure }: JobView): HoldfastError {
  const why = failure ? `${failure.code}: ${failure.message}` : "its reason is not known";
  return new HoldfastError(
    "HOLDFAST_JOB_DEAD",
    `Job ${id} of queue "${queue}" is a dead letter after attempt ${attempt} (${why}). Mend that, then redrive or discard it.`,
    { outcome: failure?.outcome ?? "unknown", data: { queue, id, attempt, failure } },
  );
}

function cancelledError(queue: string, id: string): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_JOB_CANCELLED",
    `Job ${id} of queue "${queue}" was cancelled; it has no result.`,
    { data: { queue, id } },
  );
}

function notYetError(queue: string, { id, state }: JobView): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_DEADLINE",
    `Job ${id} of queue "${queue}" has not ended in time; it is ${state}, and goes on. Ask again, with more time.`,
    { outcome: "not-applied", data: { queue, id, state } },
  );
}

/** How an attempt ended, from what its handler answered or threw. Pure, but for a draw. */
import { HoldfastError } from "../call/index.ts";
import {
  type AttemptEnd,
  type ClaimedJob,
  failureOf,
  type QueueRetryOptions,
  retryStep,
} from "../parts/queue/index.ts";

/** Most bytes of JSON that a result may have. */
export const resultBytesMax = 1 << 20;

/** @returns `dead` for a result that cannot be kept: the job was done, so it must not come again by itself */
export function endOfResult(job: ClaimedJob, result: unknown): AttemptEnd {
  if (result === undefined) return { kind: "done", resultJson: undefined };
  let json: string | undefined;
  let why = "nothing that JSON can hold";
  try {
    json = JSON.stringify(result);
  } catch (error) {
    why = `nothing that JSON can hold (${(error as Error).message})`; // a bigint, or a circle
  }
  // Characters first: only a text that might be too long is measured in bytes.
  const bytes = json !== undefined && json.length * 3 > resultBytesMax ? Buffer.byteLength(json) : 0;
  if (json !== undefined && bytes <= resultBytesMax) return { kind: "done", resultJson: json };
  if (json !== undefined) why = `${bytes} bytes of JSON`;
  const error = new HoldfastError(
    "HOLDFAST_INPUT_INVALID",
    `The handler of job ${job.id} did its work, but its result is ${why}; it should be JSON of at most ${resultBytesMax} bytes, or undefined. Keep it in a database, and answer where it is.`,
    { outcome: "applied", data: { id: job.id, bytes, bytesMax: resultBytesMax } },
  );
  return { kind: "dead", failure: failureOf(error) };
}

export function endOfFailure(
  job: ClaimedJob,
  error: unknown,
  isCancelled: boolean,
  draw: number,
  retry: Required<QueueRetryOptions>,
): AttemptEnd {
  return isCancelled ? { kind: "cancelled" } : retryStep(error, job.attempt, draw, retry);
}

/** What every engine of a queue says in the same words. */
import { HoldfastError } from "../../call/index.ts";
import type { JobFailure } from "./port.ts";

/** How long `enqueue` waits for room where the call has no deadline, in milliseconds. */
export const roomWaitMs = 10_000;

/** @param how `refuse`: it was refused at once; `wait`: no room came up within the deadline */
export function queueFullError(
  queue: string,
  maxLength: number,
  jobs: number,
  how: "refuse" | "wait",
): HoldfastError {
  const count = jobs === 1 ? "one more job" : `${jobs} more jobs`;
  const when = how === "wait" ? ", and no room came up before the deadline" : "";
  return new HoldfastError(
    "HOLDFAST_QUEUE_FULL",
    `queue "${queue}" has no room for ${count}: maxLength is ${maxLength}${when}. Nothing was enqueued. Add workers, enqueue later, or raise maxLength.`,
    { data: { queue, maxLength, jobs } },
  );
}

/** Why an attempt ended whose member lost its lease. */
export function jobLostFailure(member: string, attempt: number): JobFailure {
  return {
    code: "HOLDFAST_JOB_LOST",
    message: `${member} stopped renewing its lease during attempt ${attempt}: it was killed, stood still, or was cut off.`,
    outcome: "unknown",
  };
}

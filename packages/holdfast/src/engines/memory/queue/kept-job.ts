/** A job as the memory engine keeps it, and the ways in which it changes. */
import type { AttemptEnd, JobFailure, JobState, JobView, OutgoingJob } from "../../../parts/queue/index.ts";

export interface KeptJob {
  readonly outgoing: OutgoingJob;
  /** In the order of arrival. */
  readonly sequence: number;
  readonly enqueuedAtMs: number;
  state: JobState;
  attempt: number;
  /** When it may run, while it is delayed; since when it is ready, while it waits. */
  readyAtMs: number;
  endedAtMs: number | undefined;
  /** Token and name of the member that holds it, while it is active. */
  holder: { readonly token: bigint; readonly name: string } | undefined;
  cancelRequested: boolean;
  progressJson: string | undefined;
  resultJson: string | undefined;
  failure: JobFailure | undefined;
}

export function keptJob(outgoing: OutgoingJob, sequence: number, nowMs: number): KeptJob {
  const { due } = outgoing;
  const dueAtMs = "atMs" in due ? due.atMs : nowMs + due.afterMs;
  const isDelayed = dueAtMs > nowMs;
  return {
    outgoing,
    sequence,
    enqueuedAtMs: nowMs,
    state: isDelayed ? "delayed" : "waiting",
    attempt: 0,
    readyAtMs: isDelayed ? dueAtMs : nowMs,
    endedAtMs: undefined,
    holder: undefined,
    cancelRequested: false,
    progressJson: undefined,
    resultJson: undefined,
    failure: undefined,
  };
}

export function isEnded(job: KeptJob): boolean {
  return job.state === "done" || job.state === "dead" || job.state === "cancelled";
}

/** Ends the attempt. A job whose cancellation was asked for does not come again. */
export function endAttempt(job: KeptJob, end: AttemptEnd, nowMs: number): void {
  job.holder = undefined;
  if ("failure" in end) job.failure = end.failure;
  if (end.kind === "released") job.attempt--;
  if (end.kind === "done") job.resultJson = end.resultJson;
  const comesAgain = end.kind === "retry" || end.kind === "released";
  if (comesAgain && !job.cancelRequested) {
    const afterMs = end.kind === "retry" ? end.afterMs : 0;
    job.state = afterMs > 0 ? "delayed" : "waiting";
    job.readyAtMs = nowMs + afterMs;
    return;
  }
  job.state = comesAgain ? "cancelled" : end.kind;
  job.endedAtMs = nowMs;
}

export function viewOf(job: KeptJob): JobView {
  const { outgoing } = job;
  return {
    id: outgoing.id,
    state: job.state,
    attempt: job.attempt,
    name: outgoing.name,
    value: JSON.parse(outgoing.json),
    group: outgoing.group,
    priority: outgoing.priority,
    tags: outgoing.tags,
    enqueuedAtMs: job.enqueuedAtMs,
    dueAtMs: job.state === "delayed" ? job.readyAtMs : undefined,
    endedAtMs: job.endedAtMs,
    member: job.holder?.name,
    progress: parsed(job.progressJson),
    result: parsed(job.resultJson),
    failure: job.failure,
  };
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json);
}

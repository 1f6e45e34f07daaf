/**
 * The loop of a process that works for a queue: joins as a member, claims jobs a little ahead of its handlers, tells
 * the store how attempts ended, and drains.
 *
 * The member's lease is renewed every third of it, also while handlers are busy. When none was renewed for a whole
 * lease (the process stood still, a handler blocked it, the store was away) the jobs may have passed to others: their
 * handlers are told to stop, nothing of them is reported, and the process joins anew, under another incarnation of its
 * name. What it had reported late the store has refused.
 *
 * Who is told that the lease is lost while it cannot have run out, twice in a row, has a living successor under its
 * name, and ends.
 *
 * On abort it claims no more, gives back what has not begun, lets what runs end, leaves, and resolves.
 */
import { HoldfastError } from "../call/index.ts";
import { backoffMs } from "./consume-wait.ts";
import { aborted } from "./nudge.ts";
import { WorkAttempts } from "./work-attempts.ts";
import { type WorkEnvironment, WorkMembership } from "./work-membership.ts";
import { type WorkOptions, workDefaults } from "./work-options.ts";

/**
 * @returns when everything is drained and left
 * @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID when the queue cannot be worked for as declared, HOLDFAST_FENCED
 *   when another process has started under this name, HOLDFAST_HANDLERS_STUCK when too many handlers do not return.
 *   Anything else is reported to `onError` and tried again.
 */
export async function workQueue<Value = never>(options: WorkOptions<Value>): Promise<void> {
  const { worker, queue, clock, signal } = options;
  const { leaseMs, concurrency } = worker.options;
  const drainMs = options.drainMs ?? workDefaults.drainMs;
  const straysMax = Math.max(10, concurrency);
  let membership: WorkMembership<Value> | undefined;
  let stuck = false;
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  if (signal.aborted) return;
  signal.addEventListener("abort", stop, { once: true });

  const report: WorkEnvironment<Value>["report"] = (error, context) => options.onError?.(error, context);
  const attempts = new WorkAttempts<Value>({
    ...options,
    report,
    ended: (job, end) => membership?.ended(job, end),
    gaveUp() {
      if (attempts.strays < straysMax) return;
      stuck = true;
      stop();
    },
    progress: async (job, json) => membership?.progress(job, json),
  });

  let soon = 0;
  let failures = 0;
  try {
    while (!stopping.signal.aborted) {
      const incarnation = Buffer.from(clock.random.bytes(4)).toString("hex");
      try {
        const askedAtMs = clock.monotonicMs();
        const member = await queue.join(worker.name, `${options.memberName}@${incarnation}`, leaseMs);
        const env = { ...options, member, attempts, report, stop: stopping.signal };
        membership = new WorkMembership<Value>(env, askedAtMs + leaseMs);
      } catch (error) {
        if (isFinal(error)) throw error;
        report(error, { stage: "join", attempt: ++failures });
        await clock.sleep(backoffMs(clock, failures), stopping.signal).catch(() => {});
        continue;
      }
      failures = 0;
      const lost = membership.lost();
      const end = await Promise.race([lost, aborted(stopping.signal)]);
      if (!end) break;
      attempts.abandonAll(end.error);
      report(end.error, { stage: "heartbeat", attempt: 1 });
      soon = end.wasAlive ? soon + 1 : 0;
      if (soon >= 2) throw end.error;
    }
    if (membership) await membership.drain(drainMs);
  } finally {
    signal.removeEventListener("abort", stop);
    membership?.close();
    attempts.close();
  }
  if (stuck) throw stuckError(worker.name, attempts.strays);
}

/** The queue is not as declared. */
function isFinal(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === "HOLDFAST_OPTIONS_INVALID";
}

function stuckError(worker: string, strays: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_HANDLERS_STUCK",
    `${strays} handlers of worker "${worker}" have not returned though their time was up. The process ends, so that another can begin afresh; their attempts have failed with HOLDFAST_ATTEMPT_TIMEOUT. Let handlers stop when job.signal aborts.`,
    { data: { worker, strays } },
  );
}

/**
 * One attempt of a batch: the handler in the worker's world, in a call of its own that is linked to the first message's
 * trace, for as long as an attempt may take.
 *
 * A handler that does not end when it is told to is left behind after a moment: it may go on in this process, but
 * nothing waits for it, and what it still applies with `batch.apply` is guarded like everything else.
 */
import { Call, HoldfastError, inCall, type Session } from "../call/index.ts";
import { readMessage } from "../parts/schema/index.ts";
import type { RecordedBatch, Topic } from "../parts/topic/index.ts";
import { openBatch } from "../parts/worker/index.ts";
import { inWorld } from "../parts/world.ts";
import type { ConsumeEnv } from "./consume-options.ts";
import { linkedTrace } from "./origin-call.ts";

/** How long a handler gets to notice that its signal was aborted. */
export const abortGraceMs = 1_000;

/** @param abort the partition is lost, or draining has taken too long */
export async function attemptBatch<Value>(
  { worker, world, clock, handler }: ConsumeEnv<Value>,
  recorded: RecordedBatch,
  session: Session,
  abort: AbortSignal,
): Promise<void> {
  const late = new AbortController();
  const signal = AbortSignal.any([abort, late.signal]);
  const published = recorded.messages.find((message) => message.traceparent)?.traceparent;
  const trace = linkedTrace(published, clock.random);
  const call = new Call(clock, {
    signal,
    ...(trace ? { trace } : {}),
    session,
  });
  // Numbers are the topic's: a worker that is moved to another topic begins anew on every shard.
  const consumer = `${worker.options.from.name}/${worker.name}`;
  const run = async () =>
    handler(openBatch<Value>(consumer, await inNewestVersion(worker.options.from, recorded), signal));
  const { timeoutMs } = worker.options;
  const timer = clock.timer(timeoutMs, () => late.abort(lateError(worker.name, recorded, timeoutMs)));
  const given = givenUp(signal, (resume) => clock.timer(abortGraceMs, resume));
  try {
    const handling = inCall(call, () =>
      world
        ? inWorld(world, () =>
            world.seam.operation("worker", worker.name, "batch", call, run, {
              partition: recorded.partition,
              sequence: recorded.sequence.toString(),
              messages: recorded.messages.length,
              attempt: recorded.attempts + 1,
            }),
          )
        : run(),
    );
    handling.catch(() => {}); // of one that is left behind nobody hears
    await Promise.race([handling, given.promise]);
  } finally {
    timer.cancel();
    given.cancel();
    call.end();
  }
}

/** The batch with its messages as the newest version of their schema has them, where the topic declares versions. */
async function inNewestVersion<Value>(
  { name, options: { versions } }: Topic<Value>,
  recorded: RecordedBatch,
): Promise<RecordedBatch> {
  if (!versions || recorded.messages.every(({ version }) => version === versions.newest.version))
    return recorded;
  const read = recorded.messages.map(async (message) => {
    const { id, value, version } = message;
    const part = `topic "${name}"`;
    return { ...message, value: await readMessage(versions, { part, id: id.toString(), value, version }) };
  });
  return { ...recorded, messages: await Promise.all(read) };
}

/** Rejects with the signal's reason a moment after it was aborted. */
function givenUp(signal: AbortSignal, later: (run: () => void) => { cancel(): void }) {
  let timer: { cancel(): void } | undefined;
  let begin: (() => void) | undefined;
  const promise = new Promise<never>((_, reject) => {
    begin = () => {
      timer = later(() => reject(signal.reason));
    };
    signal.addEventListener("abort", begin, { once: true });
  });
  promise.catch(() => {});
  return {
    promise,
    cancel() {
      if (begin) signal.removeEventListener("abort", begin);
      timer?.cancel();
    },
  };
}

function lateError(worker: string, { partition, sequence }: RecordedBatch, timeoutMs: number): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_ATTEMPT_TIMEOUT",
    `Worker "${worker}" did not end batch ${sequence} of partition ${partition} within ${timeoutMs} ms, so the attempt counts as failed. Stop when batch.signal aborts; raise timeoutMs where a batch may take longer.`,
    { data: { worker, partition, sequence: sequence.toString(), timeoutMs } },
  );
}

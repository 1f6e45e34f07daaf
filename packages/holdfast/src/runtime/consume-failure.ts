/**
 * What a worker does about a batch that failed: says it at home, where attempts are counted, then pauses, halves the
 * batch, or puts its only message aside, as `poisonStep` decides.
 */
import { HoldfastError } from "../call/index.ts";
import type { PartitionClaim, RecordedBatch } from "../parts/topic/index.ts";
import {
  diedFailure,
  failureKind,
  failureOf,
  type PoisonStep,
  poisonStep,
} from "../parts/worker/poison-step.ts";
import type { ConsumeEnv } from "./consume-options.ts";

/** Of an attempt that failed with `error`, the `attempts`-th that counts. @returns the pause until the next one, in ms */
export async function afterFailure<Value>(
  env: ConsumeEnv<Value>,
  claim: PartitionClaim,
  batch: RecordedBatch,
  error: unknown,
  { attempts, failures }: { readonly attempts: number; readonly failures: number },
): Promise<number> {
  const kind = failureKind(error);
  const failure = failureOf(error);
  await env.topic.fail(claim, batch.sequence, failure, kind !== "passing");
  const step = stepOf(env, batch, kind, attempts, failures);
  if (step.kind === "again") return step.afterMs;
  await isolate(env, claim, batch, step, failure, attempts);
  return 0;
}

/**
 * Of a batch that comes with all its attempts used up: whoever had it could not say how it ended, or not do what had
 * to be done about it.
 *
 * @returns false when it is to be tried all the same
 */
export async function whenExhausted<Value>(
  env: ConsumeEnv<Value>,
  claim: PartitionClaim,
  batch: RecordedBatch,
): Promise<boolean> {
  if (batch.attempts === 0) return false;
  const step = stepOf(env, batch, "counted", batch.attempts, batch.attempts);
  if (step.kind === "again") return false;
  const died = batch.attempts > batch.reported || !batch.failure;
  await isolate(
    env,
    claim,
    batch,
    step,
    died || !batch.failure ? diedFailure : batch.failure,
    batch.attempts,
  );
  return true;
}

function stepOf<Value>(
  { worker, clock }: ConsumeEnv<Value>,
  { messages, isolating }: RecordedBatch,
  kind: ReturnType<typeof failureKind>,
  attempts: number,
  failures: number,
): PoisonStep {
  const { retry, onPoison } = worker.options;
  return poisonStep({
    kind,
    attempts,
    failures,
    messages: messages.length,
    isolating,
    retry,
    onPoison,
    random: clock.random.next(),
  });
}

async function isolate<Value>(
  { topic, worker, report }: ConsumeEnv<Value>,
  claim: PartitionClaim,
  batch: RecordedBatch,
  step: PoisonStep,
  failure: ReturnType<typeof failureOf>,
  attempts: number,
): Promise<void> {
  if (step.kind === "halve") return topic.halve(claim, batch);
  const { partition, sequence, messages } = batch;
  await topic.bury(claim, batch, failure, worker.options.keepDeadMs);
  report(buriedError(worker.options.from.name, worker.name, messages[0]?.id ?? 0n, failure), {
    stage: "bury",
    partition,
    sequence,
    attempt: attempts,
  });
}

function buriedError(
  topic: string,
  consumer: string,
  messageId: bigint,
  failure: ReturnType<typeof failureOf>,
): HoldfastError {
  return new HoldfastError(
    "HOLDFAST_DEAD_LETTER",
    `Message ${messageId} of topic "${topic}" is a dead letter of "${consumer}" now (${failure.code}: ${failure.message.replace(/[.\s]+$/, "")}). Put right what is wrong, and have it tried once more (topic.consumer("${consumer}").deadLetters.redrive()), or discard it.`,
    { data: { topic, consumer, messageId: messageId.toString(), failure } },
  );
}

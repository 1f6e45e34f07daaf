/** `worker`: code that works on what a topic or a queue has for it. */
import type { Queue } from "../queue/index.ts";
import { topicWorker, type Worker } from "./declare.ts";
import type { WorkerOptions } from "./options.ts";
import { type QueueWorker, type QueueWorkerOptions, queueWorker } from "./queue-worker.ts";

/** A worker of either kind: `options.from.kind` says which. */
export type AnyWorker = Worker<never> | QueueWorker<never>;

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function worker<Value>(name: string, options: WorkerOptions<Value>): Worker<Value>;
export function worker<Value>(name: string, options: QueueWorkerOptions<Value>): QueueWorker<Value>;
export function worker(name: string, options: QueueWorkerOptions<never> | WorkerOptions<never>): AnyWorker {
  return worksForQueue(options)
    ? queueWorker(name, options)
    : topicWorker(name, options as WorkerOptions<never>);
}

function worksForQueue(
  options: QueueWorkerOptions<never> | WorkerOptions<never>,
): options is QueueWorkerOptions<never> {
  return (options.from as { kind?: string } | undefined)?.kind === "queue";
}

export function isQueueWorker(worker: AnyWorker): worker is QueueWorker<never> {
  return (worker.options.from as Queue<never>).kind === "queue";
}

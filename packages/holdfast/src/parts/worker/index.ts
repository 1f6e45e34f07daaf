export { type Batch, type BatchHandler, openBatch } from "./batch.ts";
export type { Worker } from "./declare.ts";
export { type Job, jobGuardPrefix, jobGuardsPrefix, OpenJob, progressBytesMax } from "./job.ts";
export {
  type ResolvedWorkerOptions,
  type WorkerOptions,
  type WorkerRetryOptions,
  workerDefaults,
} from "./options.ts";
export {
  type JobHandler,
  type QueueWorker,
  type QueueWorkerOptions,
  queueWorkerDefaults,
  type ResolvedQueueWorkerOptions,
} from "./queue-worker.ts";
export { type AnyWorker, isQueueWorker, worker } from "./worker.ts";

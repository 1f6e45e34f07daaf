export { type Batch, openBatch } from "./batch.ts";
export {
  type BatchHandler,
  type ResolvedWorkerOptions,
  type Worker,
  type WorkerOptions,
  workerDefaults,
} from "./declare.ts";
export { type Job, jobGuardPrefix, OpenJob, progressBytesMax } from "./job.ts";
export {
  type JobHandler,
  type QueueWorker,
  type QueueWorkerOptions,
  queueWorkerDefaults,
  type ResolvedQueueWorkerOptions,
} from "./queue-worker.ts";
export { type AnyWorker, isQueueWorker, worker } from "./worker.ts";

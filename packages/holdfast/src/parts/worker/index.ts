export { type Batch, type BatchHandler, openBatch } from "./batch.ts";
export { type Worker, worker } from "./declare.ts";
export {
  type ResolvedWorkerOptions,
  type WorkerOptions,
  type WorkerRetryOptions,
  workerDefaults,
} from "./options.ts";

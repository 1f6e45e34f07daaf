export { type Batch, openBatch } from "./batch.ts";
export {
  type BatchHandler,
  type ResolvedWorkerOptions,
  type Worker,
  type WorkerOptions,
  worker,
  workerDefaults,
} from "./declare.ts";

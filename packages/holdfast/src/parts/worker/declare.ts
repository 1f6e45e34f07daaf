/**
 * `worker` for a topic: code that consumes it, in batches.
 */
import type { Part } from "../part.ts";
import { type ResolvedWorkerOptions, resolveWorkerOptions, type WorkerOptions } from "./options.ts";

export interface Worker<Value = never> extends Part {
  readonly kind: "worker";
  readonly options: ResolvedWorkerOptions<Value>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function topicWorker<Value>(name: string, options: WorkerOptions<Value>): Worker<Value> {
  return { kind: "worker", name, options: resolveWorkerOptions(name, options) };
}

/**
 * `queue`: jobs that are to be done once, each by somebody, some time, with retries.
 *
 * `enqueue` is durable when it resolves. A job that was handed out comes again until an attempt has ended it; only
 * its newest attempt can. What it does to a database happens once when it is done with `job.apply`.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Bindable } from "../part.ts";
import { type QueueOptions, type ResolvedQueueOptions, resolveQueueOptions } from "./options.ts";
import type { QueuePort } from "./port.ts";

export interface Queue<Value> extends Bindable<QueuePort> {
  readonly kind: "queue";
  readonly options: ResolvedQueueOptions;
  /** Only for the compiler. */
  readonly value?: Value;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function queue<Schema extends StandardSchemaV1>(
  name: string,
  options: QueueOptions<Schema>,
): Queue<StandardSchemaV1.InferOutput<Schema>> {
  return { kind: "queue", name, options: resolveQueueOptions(name, options) };
}

/** All of them, by name. */
import { byChanges } from "./by-changes.ts";
import { byOutbox } from "./by-outbox.ts";
import { byQueue } from "./by-queue.ts";
import { byTopic } from "./by-topic.ts";
import type { DeliveryKind, DeliveryKindName, DeliveryKindOptions } from "./kind.ts";

export type { Delivery, DeliveryKind, DeliveryKindName, DeliveryKindOptions } from "./kind.ts";

const kinds: Readonly<Record<DeliveryKindName, (options: DeliveryKindOptions) => DeliveryKind>> = {
  topic: byTopic,
  outbox: byOutbox,
  queue: byQueue,
  "ordered queue": byQueue,
  "change feed": byChanges,
};

export const deliveryKindNames = Object.keys(kinds) as readonly DeliveryKindName[];

export function deliveryKind(options: DeliveryKindOptions): DeliveryKind {
  return kinds[options.kind](options);
}

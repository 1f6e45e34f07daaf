/** All of them, by name. */
import { byOutbox } from "./by-outbox.ts";
import { byTopic } from "./by-topic.ts";
import type { DeliveryKind, DeliveryKindName, DeliveryKindOptions } from "./kind.ts";

export type { Delivery, DeliveryKind, DeliveryKindName, DeliveryKindOptions } from "./kind.ts";

const kinds: Readonly<Record<DeliveryKindName, (options: DeliveryKindOptions) => DeliveryKind>> = {
  topic: byTopic,
  outbox: byOutbox,
};

export const deliveryKindNames = Object.keys(kinds) as readonly DeliveryKindName[];

export function deliveryKind(options: DeliveryKindOptions): DeliveryKind {
  return kinds[options.kind](options);
}

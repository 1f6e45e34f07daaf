/** Through a topic: published, consumed in recorded batches, applied once. */
import { systemClock } from "../../../clock/index.ts";
import { system, type Topic, topic, worker } from "../../../parts/index.ts";
import type { Batch } from "../../../parts/worker/index.ts";
import { consumeTopic } from "../../../runtime/consume.ts";
import { recordedTopic } from "../recorded-attempts.ts";
import {
  anyDelivery,
  append,
  type Delivery,
  type DeliveryKind,
  type DeliveryKindOptions,
  deliveriesDatabase,
  refusePoison,
  runsHere,
} from "./kind.ts";

export const byTopic = (options: DeliveryKindOptions): DeliveryKind => topicKind(options).kind;

/** With the topic itself, for what gets into it in another way. */
export function topicKind(options: DeliveryKindOptions): {
  readonly kind: DeliveryKind;
  readonly events: Topic<Delivery>;
} {
  const { leaseMs } = options;
  const db = deliveriesDatabase(options);
  const events = topic("events", { schema: anyDelivery, keyBy: ({ key }) => key, partitions: 4 });
  const collect = worker<Delivery>("collect", { from: events, batch: 20, leaseMs, load: runsHere });
  const handler = topicHandler(db, options);
  const kind: DeliveryKind = {
    system: system("deliveries", { parts: { db, events, collect } }),
    db,
    inOrder: true,
    completionIsFinal: false,
    put: (message) => events.publish(message),
    pending: async (world) => Number(await world.port(events).lag(collect.name)),
    async dead() {
      const { search } = events.consumer(collect.name).deadLetters;
      const numbers: number[] = [];
      for (let after: string | undefined; ; ) {
        const page = await search({}, { limit: 1_000, after });
        numbers.push(...page.letters.map(({ value }) => (value as Delivery).number));
        if (page.after === undefined) return numbers;
        after = page.after;
      }
    },
    work: ({ world, recorder, member, signal }) =>
      consumeTopic<Delivery>({
        worker: collect,
        topic: recordedTopic<Delivery>(world.port(events), recorder, ({ number }) => number),
        clock: systemClock,
        world,
        signal,
        memberName: member,
        handler,
      }),
  };
  return { kind, events };
}

export function topicHandler(db: DeliveryKind["db"], options: DeliveryKindOptions) {
  const { workMs, unguarded } = options;
  let failures = 0;
  return async (batch: Batch<Delivery>): Promise<void> => {
    if (unguarded) {
      for (const { value } of batch.messages) {
        await db.at(value.key).write((tx) => append(value).execute(tx));
      }
      if (++failures === 1) throw new Error("it fails after its work, once");
      return;
    }
    await systemClock.sleep(workMs);
    for (const { value } of batch.messages) refusePoison(options, value);
    await batch.apply(
      db,
      ({ key }) => key,
      async (tx, messages) => {
        for (const { value } of messages) await append(value).execute(tx);
      },
    );
    await systemClock.sleep(workMs);
  };
}

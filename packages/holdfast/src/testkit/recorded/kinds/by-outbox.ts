/**
 * Through the outbox: published in the transaction that writes a row, on the row's shard. Some of these transactions are
 * undone after they have published, and then nothing may come of it.
 */
import { RefusedError } from "../workload.ts";
import { topicKind } from "./by-topic.ts";
import { comingRows } from "./coming-rows.ts";
import type { DeliveryKind, DeliveryKindOptions } from "./kind.ts";

/** One transaction in so many is undone. */
const undoneEvery = 7;

export function byOutbox(options: DeliveryKindOptions): DeliveryKind {
  const { kind, events } = topicKind(options);
  const { db } = kind;
  return {
    ...kind,
    put: (message) =>
      db.at(message.key).write(async (tx) => {
        await tx.insertInto("source").values(message).execute();
        await events.publish(message, { in: tx });
        if (message.number % undoneEvery === 0) throw new RefusedError("undone, with what it published");
      }),
    // What waits in an outbox no consumer knows of yet: the rows tell how many have to come.
    async pending(world) {
      const coming = (await comingRows(db)) - (await kind.dead(world)).length;
      return Math.max(0, coming) + (await kind.pending(world));
    },
  };
}

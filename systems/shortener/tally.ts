/**
 * Counts clicks. `batch.apply` runs each shard's part in one transaction that also records the batch's
 * number: a batch that comes again, after a crash or from another process, changes nothing where it was
 * applied before. Ids take care of clicks that were published twice.
 */
import type { Batch } from "holdfast";
import type { Click } from "./clicks/click.ts";
import { countClicks, forgetOldClicks } from "./clicks/count-clicks.ts";
import { rememberingDeviceOf } from "./clicks/user-agent.ts";
import { links } from "./parts.ts";

const deviceOf = rememberingDeviceOf();

/** One batch in so many also clears old ids away on the shards that it touches. */
const batchesPerClearing = 50n;

export default async function tally(batch: Batch<Click>): Promise<void> {
  const clears = batch.sequence % batchesPerClearing === 0n;
  await batch.apply(
    links,
    (click) => click.code,
    async (tx, messages) => {
      await countClicks(
        tx,
        messages.map(({ value: click }) => ({
          id: click.id,
          code: click.code,
          day: dayOf(click.atMs),
          device: deviceOf(click.userAgent),
          referrer: click.referrer,
        })),
      );
      if (clears) await forgetOldClicks(tx);
    },
  );
}

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

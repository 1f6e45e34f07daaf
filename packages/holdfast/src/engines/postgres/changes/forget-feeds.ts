/** Gives up the places in the log of feeds that are not declared any more: a slot that nobody reads holds it back. */
import type { DatabaseNodes } from "../nodes.ts";
import { inTransaction } from "../reshard/move-record.ts";
import { unpublishFeed } from "./feed-publication.ts";
import { dropFeedSlot } from "./feed-slot.ts";

/** @returns the names of those that were given up; a feed of that name that is declared later begins anew */
export async function forgetFeeds(nodes: DatabaseNodes, declared: readonly string[]): Promise<string[]> {
  const forgotten = new Set<string>();
  for (const { name } of nodes.config.nodes) {
    await nodes.primary(name).use(async (session) => {
      const { rows } = await session.send<{ feed: string; publication: string; table: string }>({
        text: 'select feed, publication, table_name as "table" from holdfast.change_feed where feed <> all ($1)',
        values: [declared],
      });
      for (const { feed, publication: object, table } of rows) {
        await dropFeedSlot(session, object);
        await unpublishFeed(session, { feed, table, object });
        forgotten.add(feed);
      }
    });
  }
  if (forgotten.size === 0) return [];
  const feeds = [...forgotten];
  // Where the topic lives elsewhere, the position stays, and a later feed of that name tells its rows anew.
  await nodes.primary(nodes.home).use((session) =>
    inTransaction(session, async () => {
      for (const table of ["change_cursor", "change_want"])
        await session.send({ text: `delete from holdfast.${table} where feed = any ($1)`, values: [feeds] });
    }),
  );
  return feeds;
}

/**
 * One page of links, newest first, over all shards.
 *
 * Every shard is asked for a page after the cursor, and the pages are merged: the work is the number of
 * shards times the page, whatever the number of links. There is no common snapshot; a link made while somebody
 * pages is newer than the cursor and shows on the first page only, so nothing comes twice and nothing is
 * skipped.
 */
import { sql } from "kysely";
import { links } from "../parts.ts";
import { type Cursor, encodeCursor } from "./cursor.ts";
import { type LinkView, viewOf } from "./link.ts";

export interface LinkPage {
  readonly links: readonly LinkView[];
  /** Where the next page begins; null at the end. */
  readonly cursor: string | null;
}

/** Shards asked at once: a listing should not take the connections that redirects load with. */
const shardsAtOnce = 4;

export async function listLinks(
  limit: number,
  tag: string | undefined,
  after: Cursor | undefined,
): Promise<LinkPage> {
  const shards = [...links.shards()];
  const found: { readonly createdAtMs: number; readonly view: LinkView }[] = [];
  const askNext = async (): Promise<void> => {
    for (let shard = shards.pop(); shard; shard = shards.pop()) {
      const rows = await shard.read((db) => {
        let query = db
          .selectFrom("link")
          .selectAll()
          .orderBy("created_at_ms", "desc")
          .orderBy("code", "desc")
          .limit(limit + 1);
        if (tag !== undefined) query = query.where(sql<boolean>`tags @> array[${tag}]::text[]`);
        if (after) {
          query = query.where(
            sql<boolean>`(created_at_ms, code) < (${after.createdAtMs}::bigint, ${after.code})`,
          );
        }
        return query.execute();
      });
      for (const row of rows) found.push({ createdAtMs: Number(row.created_at_ms), view: viewOf(row) });
    }
  };
  await Promise.all(Array.from({ length: shardsAtOnce }, askNext));
  found.sort((a, b) => b.createdAtMs - a.createdAtMs || (a.view.code < b.view.code ? 1 : -1));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const more = found.length > limit && last !== undefined;
  return {
    links: page.map(({ view }) => view),
    cursor: more ? encodeCursor({ createdAtMs: last.createdAtMs, code: last.view.code, tag }) : null,
  };
}

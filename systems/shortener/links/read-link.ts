/**
 * Reads links: for redirects from the cache, for the API from the database.
 *
 * A read at level `session` may be answered by a replica. Word of a change brings its position in the log with
 * it, and a replica that has not come so far is passed over for the primary: a load after a change cannot bring
 * the old link back. With the primary down the replica answers.
 *
 * That a link is *not* there is only believed of the primary: a replica may not have heard of it yet, and every
 * acknowledged link is there. With the primary down nobody can say so, and the answer is 503 instead of 404.
 */
import { Call, currentCall, currentWorld, inCall } from "holdfast";
import type { Kysely } from "kysely";
import { hot, links } from "../parts.ts";
import type { Tables } from "../tables.ts";
import { type LinkView, viewOf } from "./link.ts";

/** What a redirect needs; small, because the cache keeps many. */
export interface HotLink {
  readonly url: string;
  readonly status: 301 | 302;
  readonly disabled: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number | null;
  readonly limited: boolean;
}

/** How long the primary may take to confirm that there is no such link, in milliseconds. */
const confirmMs = 1_000;

export async function readOnShardOf<T>(
  code: string,
  read: (db: Kysely<Tables>) => Promise<T | undefined>,
): Promise<T | undefined> {
  const shard = links.at(code);
  const found = await shard.read("session", read);
  if (found !== undefined) return found;
  const call = new Call(currentWorld().clock, { timeoutMs: confirmMs }, currentCall());
  return inCall(call, () => shard.read("strong", read));
}

export function hotLink(code: string): Promise<HotLink | undefined> {
  return hot.get(code, () => readOnShardOf(code, (db) => readHot(db, code)));
}

async function readHot(db: Kysely<Tables>, code: string): Promise<HotLink | undefined> {
  const row = await db
    .selectFrom("link")
    .select(["url", "status", "disabled", "expires_at", "max_visits"])
    .where("code", "=", code)
    .executeTakeFirst();
  if (!row) return undefined;
  return {
    url: row.url,
    status: row.status === 301 ? 301 : 302,
    disabled: row.disabled,
    expiresAtMs: row.expires_at?.getTime() ?? null,
    limited: row.max_visits !== null,
  };
}

export async function readLink(code: string): Promise<LinkView | undefined> {
  const row = await readOnShardOf(code, (db) =>
    db.selectFrom("link").selectAll().where("code", "=", code).executeTakeFirst(),
  );
  return row && viewOf(row);
}

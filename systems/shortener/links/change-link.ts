/**
 * Changes a link. The word to forget it goes to every instance in the same transaction, so a link that was
 * edited or disabled cannot live on in a cache.
 */
import type { Transaction, Updateable } from "kysely";
import { notFound, Problem } from "../http/problem.ts";
import { hot, links } from "../parts.ts";
import type { LinkTable, Tables } from "../tables.ts";
import { opens } from "./edit-key.ts";
import { type LinkChange, type LinkView, viewOf } from "./link.ts";

/**
 * @param editKey what the request brought, if anything
 * @throws {Problem} 401, 403 or 404
 */
export async function changeLink(
  code: string,
  editKey: string | undefined,
  change: LinkChange,
): Promise<LinkView> {
  if (editKey === undefined) {
    throw new Problem(
      401,
      "edit-key-needed",
      "Send the link's edit key: `authorization: Bearer <editKey>`.",
      "authorization",
    );
  }
  const link = await links.at(code).write((tx) => update(tx, code, editKey, change));
  // The word is under way to everyone; this instance should not even wait for that. A failure loses nothing.
  await hot.invalidate(code).catch(() => {});
  return link;
}

async function update(
  tx: Transaction<Tables>,
  code: string,
  editKey: string,
  change: LinkChange,
): Promise<LinkView> {
  const known = await tx
    .selectFrom("link")
    .select(["edit_key_hash", "visits"])
    .where("code", "=", code)
    .forUpdate()
    .executeTakeFirst();
  if (!known) throw notFound();
  if (!opens(editKey, known.edit_key_hash)) {
    throw new Problem(403, "edit-key-wrong", "This is not the link's edit key.", "authorization");
  }
  if (change.maxVisits != null && change.maxVisits < known.visits) {
    throw new Problem(
      400,
      "invalid",
      `maxVisits is below the ${known.visits} visits that were made.`,
      "maxVisits",
    );
  }
  await hot.invalidate(code, { in: tx });
  const row = await tx
    .updateTable("link")
    .set(columnsOf(change))
    .where("code", "=", code)
    .returningAll()
    .executeTakeFirstOrThrow();
  return viewOf(row);
}

function columnsOf(change: LinkChange): Updateable<LinkTable> {
  const { url, status, tags, disabled, expiresAt, maxVisits } = change;
  return {
    ...(url === undefined ? {} : { url }),
    ...(status === undefined ? {} : { status }),
    ...(tags === undefined ? {} : { tags }),
    ...(disabled === undefined ? {} : { disabled }),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt === null ? null : new Date(expiresAt) }),
    ...(maxVisits === undefined ? {} : { max_visits: maxVisits }),
  };
}

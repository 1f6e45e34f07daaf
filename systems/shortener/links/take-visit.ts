/**
 * Takes one visit of a link that has a limit.
 *
 * The count has to be exact, so it is a transaction on the link's shard before the redirect: links with a
 * limit pay for it, and are not answered while their primary is down; all others never write. The gateway may
 * try a request on two instances; the request's id makes that one visit.
 */
import { sql } from "kysely";
import { links } from "../parts.ts";

/** @returns false when the limit is reached, or the link has been disabled or has expired meanwhile */
export async function takeVisit(code: string, requestId: string): Promise<boolean> {
  return links.at(code).write(
    async (tx) => {
      const { numUpdatedRows } = await tx
        .updateTable("link")
        .set({ visits: sql`visits + 1` })
        .where("code", "=", code)
        .where("disabled", "=", false)
        .where((where) =>
          where.or([where("max_visits", "is", null), where("visits", "<", where.ref("max_visits"))]),
        )
        .where((where) =>
          where.or([where("expires_at", "is", null), where("expires_at", ">", sql<Date>`now()`)]),
        )
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
    { idempotencyKey: `visit:${requestId}` },
  );
}

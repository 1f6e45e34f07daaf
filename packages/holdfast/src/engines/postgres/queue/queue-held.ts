/** Claims that may have jobs that have not ended: those of members that are there. SQL for other statements to use. */
import type { QueueStore } from "./queue-tables.ts";
import { claimedRows } from "./queue-window.ts";

/** One row for each claim that is not complete, with its member's name and how many of its jobs have ended. */
export function openClaimsSql({ id, claim, end }: QueueStore): string {
  return `
  select c.*, m.name as member, ended.count as ended
    from holdfast.queue_member m
    join ${claim} c on c.token = m.token and c.sequence >= m.done_before
   cross join lateral (
      select coalesce(sum(e.count), 0) as count from ${end} e where e.claim = c.sequence) ended
   where m.queue = ${id} and c.count > ended.count`;
}

/** Ready rows that are held: handed out and not ended. */
export function heldSql(store: QueueStore, columns: string): string {
  return `
  select r.* from (${openClaimsSql(store)}) g cross join lateral (${claimedRows(store, "g", `r.seq, ${columns}`)}) r
   where not exists (select from ${store.end} e where e.claim = g.sequence and e.seqs @> r.seq)`;
}

/**
 * Claims as windows of a queue's ready rows.
 *
 * A cursor is a snapshot: the set of transactions whose jobs were handed out. What is new is what a later snapshot
 * contains and the cursor does not, `(from, to]`: nothing is skipped because it took its number early and committed
 * late, and nobody waits for a transaction that stays open. Within a window jobs go in the order of `(xid, seq)`: by
 * transaction, and within it as they were given. A claim is the part `(after, until]` of a window; the next one goes
 * on there, and when a window is used up, the next opens where it ended.
 *
 * So a claim is one row, however many jobs it has, and the newest of them is the queue's cursor.
 *
 * Bounds of an index on `(xid, seq)`: a window is one range of it, and one look for each transaction that was under
 * way when it opened. Both cost what is in them, also under a transaction that is held open for hours.
 */
import type { QueueStore } from "./queue-tables.ts";

/**
 * Index scans only, and one plan: the statistics of a ring are always out of date, and a plan made while a segment
 * was empty must not scan it when it is full.
 */
export const ringSettings =
  "set local enable_seqscan = off; set local enable_bitmapscan = off; set local plan_cache_mode = force_generic_plan";

/** What was handed out before anything was: nothing. */
export const nothing = "'1:1:'::pg_snapshot";

/**
 * Whether `r` lies in the window of `w` behind `(after_xid, after_seq)`. Two halves, each of them precise.
 *
 * The first has one lower bound and not two: an index scan begins at one of them, and need not choose the later.
 */
function windowHalves(w: string): readonly [string, string] {
  const behind = `(r.xid, r.seq) > (${w}.after_xid, ${w}.after_seq)`;
  const first = `pg_snapshot_xmax(${w}.from_snapshot)`;
  const lower = `(r.xid, r.seq) > (greatest(${w}.after_xid, ${first}),
      case when ${w}.after_xid >= ${first} then ${w}.after_seq else -1 end)`;
  const seen = `pg_visible_in_snapshot(r.xid, ${w}.to_snapshot)`;
  return [
    `${lower} and r.xid < pg_snapshot_xmax(${w}.to_snapshot) and ${seen}`,
    `r.xid = any (array(select pg_snapshot_xip(${w}.from_snapshot))) and ${behind} and ${seen}`,
  ];
}

/** Rows of the window of `w` behind its `after`, in order, at most `limit`. */
export function windowRows({ ready }: QueueStore, w: string, columns: string, limit: string): string {
  const halves = windowHalves(w).map(
    (half) => `(select ${columns} from ${ready} r where ${half} order by r.xid, r.seq limit ${limit})`,
  );
  return `select * from (${halves.join(" union all ")}) r order by r.xid, r.seq limit ${limit}`;
}

/** Rows of the claim `c`. */
export function claimedRows({ ready }: QueueStore, c: string, columns: string): string {
  return windowHalves(c)
    .map(
      (half) => `select ${columns} from ${ready} r
       where ${half} and (r.xid, r.seq) <= (${c}.until_xid, ${c}.until_seq)`,
    )
    .join(" union all ");
}

/**
 * Where the next claim goes on: one row, with the window and what is before it. `now` is a snapshot that contains
 * what may be claimed.
 */
export function cursorSql({ claim }: QueueStore): string {
  return `
  select coalesce(n.sequence, 0) as sequence, coalesce(n.total, 0) as total, coalesce(n.more, false) as within,
         case when n.more then n.from_snapshot else coalesce(n.to_snapshot, ${nothing}) end as from_snapshot,
         case when n.more then n.to_snapshot else pg_current_snapshot() end as to_snapshot,
         case when n.more then n.until_xid else '0'::xid8 end as after_xid,
         case when n.more then n.until_seq else 0 end as after_seq
    from (values (1)) one left join (select * from ${claim} order by sequence desc limit 1) n on true`;
}

/**
 * Whether the ready row `r` has not been claimed, by the cursor `o`: behind it in an open window, or in none yet.
 * For rows that are looked at for another reason than to claim them.
 */
export function unclaimed(r: string, o: string): string {
  const behind = `(${r}.xid, ${r}.seq) > (${o}.after_xid, ${o}.after_seq)`;
  return `case when pg_visible_in_snapshot(${r}.xid, ${o}.from_snapshot) then false
    when ${o}.within and pg_visible_in_snapshot(${r}.xid, ${o}.to_snapshot) then ${behind}
    else true end`;
}

/** The claim that has the ready row `r`, if one has. */
export function claimOf({ claim }: QueueStore, r: string): string {
  return `
  select c.* from ${claim} c
   where (c.until_xid, c.until_seq) >= (${r}.xid, ${r}.seq) and (c.after_xid, c.after_seq) < (${r}.xid, ${r}.seq)
     and c.count > 0 and pg_visible_in_snapshot(${r}.xid, c.to_snapshot)
     and not pg_visible_in_snapshot(${r}.xid, c.from_snapshot)
   order by c.until_xid, c.until_seq limit 1`;
}

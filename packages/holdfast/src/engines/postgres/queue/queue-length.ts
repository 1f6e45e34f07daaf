/**
 * How many jobs wait or are delayed, and whether there is room for more.
 *
 * What waits is what came, less what was claimed. What was claimed is in the newest claim. What came is counted by
 * the ring's sequence, which also counts what was rolled back or cancelled: so the difference is never too low. When
 * it says that there is no room, the jobs are counted one by one, and the gap is written down for everybody.
 *
 * While there is much room, a process may fill a sixteenth of it before it measures again, at most a second later. So
 * up to sixteen processes that enqueue at once cannot pass `maxLength`; each further one may by a sixteenth of the
 * room there was. When there is little, enqueues go one after the other, each measured in its own transaction.
 */
import type { Clock } from "../../../clock/index.ts";
import type { PgSession, Statement } from "../session.ts";
import { lockOf, type QueueStore, queueLock } from "./queue-tables.ts";
import { cursorSql, ringSettings, windowRows } from "./queue-window.ts";

/** Room below which every enqueue is measured. */
const littleRoom = 1_024;
const share = 16;
const freshMs = 1_000;
/** Jobs that are counted at any time. */
const fewJobs = 10_000;

/** Numbers that were drawn for ready jobs. */
const drawnSql = ({ ready }: QueueStore) =>
  `(select case when is_called then last_value else 0 end from ${ready}_seq_seq)`;

/** One row: `length`, never too low. */
function lengthStatement(store: QueueStore): Statement {
  return {
    text: `select (${drawnSql(store)} - q.gap
                    - coalesce((select total from ${store.claim} order by sequence desc limit 1), 0)
                    + (select count(*) from holdfast.queue_timer where queue = q.id))::float8 as length
             from holdfast.queue q where q.id = $1`,
    prepare: true,
    values: [store.id],
  };
}

/** Jobs of the ring that nobody has claimed, counted. For use as a subquery. */
export function waitingSql(store: QueueStore): string {
  return `select count(*) from (${cursorSql(store)}) o cross join lateral (${windowRows(store, "o", "r.xid, r.seq", "null")}) r`;
}

/** Counts, and keeps the difference to what the sequence says; one row `length`. */
function recountStatement(store: QueueStore): Statement {
  return {
    text: `with counted as materialized (
             select (${behindSql(store)}) as waiting,
                    coalesce((select total from ${store.claim} order by sequence desc limit 1), 0) as claimed
           ), kept as (
             update holdfast.queue q set gap = ${drawnSql(store)} - counted.claimed - counted.waiting
               from counted where q.id = $1 and q.gap <> ${drawnSql(store)} - counted.claimed - counted.waiting
           )
           select (waiting + (select count(*) from holdfast.queue_timer where queue = $1))::float8 as length
             from counted`,
    values: [store.id],
  };
}

/** What waits in the open window, and what has come since: both are windows of the cursor. */
export function behindSql(store: QueueStore): string {
  const next = `(select o.sequence, o.to_snapshot as from_snapshot, pg_current_snapshot() as to_snapshot,
      '0'::xid8 as after_xid, 0::bigint as after_seq from (${cursorSql(store)}) o where o.within)`;
  return `(${waitingSql(store)}) + (
    select count(*) from ${next} n cross join lateral (${windowRows(store, "n", "r.xid, r.seq", "null")}) r)`;
}

export class QueueLength {
  readonly #clock: Clock;
  readonly #lengthMax: number;
  #allowance = 0;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  constructor(lengthMax: number, clock: Clock) {
    this.#lengthMax = lengthMax;
    this.#clock = clock;
  }

  /** Whether so many can be added without a look. Then they count as added. */
  take(jobs: number): boolean {
    if (this.#clock.monotonicMs() - this.#measuredAtMs > freshMs || jobs > this.#allowance) return false;
    this.#allowance -= jobs;
    return true;
  }

  /** Measures. @returns whether there is much room, so that `take` may say yes */
  async look(session: PgSession, store: QueueStore): Promise<boolean> {
    const room = await this.#room(session, store);
    this.#measuredAtMs = this.#clock.monotonicMs();
    this.#allowance = room < littleRoom ? 0 : Math.floor(room / share);
    return this.#allowance > 0;
  }

  /** For how many of `wanted` jobs there is room. In a transaction that has the lock: nobody adds any until its end. */
  async measure(session: PgSession, store: QueueStore, wanted: number): Promise<number> {
    const room = await this.#room(session, store);
    if (room >= wanted) return wanted;
    const nowMs = this.#clock.monotonicMs();
    if (this.#lengthMax > fewJobs && nowMs - this.#countedAtMs < freshMs) return Math.max(0, room);
    this.#countedAtMs = nowMs;
    session.push({ text: ringSettings });
    const { rows } = await session.send<{ length: number }>(recountStatement(store));
    return Math.max(0, Math.min(wanted, this.#lengthMax - (rows[0]?.length ?? 0)));
  }

  async #room(session: PgSession, store: QueueStore): Promise<number> {
    const { rows } = await session.send<{ length: number }>(lengthStatement(store));
    return this.#lengthMax - (rows[0]?.length ?? 0);
  }
}

/** Enqueues of a queue that is nearly full, one after the other. */
export function lengthLockSql(store: QueueStore): string {
  return `select pg_advisory_xact_lock(${queueLock(store.id)}, ${lockOf.length})`;
}

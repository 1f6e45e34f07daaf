/**
 * Where the lists of a selective queue begin, as far as this process knows: groups that can be served (by turn), groups
 * that wait for a time, delayed jobs.
 *
 * Lists are read from their heads, where everything that was taken from them lies dead. Vacuum clears that away, unless
 * a transaction is held open somewhere; then each look would pass over all that was taken since. So a process looks now
 * and then where a list begins, and later begins there.
 *
 * What makes it safe: whoever adds to a list holds the gate (a shared advisory lock) until its commit, and what it adds
 * is later than everything that was added before (turns are drawn from a sequence, times lie ahead of the clock). The
 * look takes the gate alone: so nobody is about to add something earlier than what it sees. When it does not get the
 * gate at once it lets it be: that costs time, and nothing else.
 *
 * Times have one exception, a clock that was set back. It is noticed when the store's clock is behind what was seen of
 * it, and once a minute the lists are read from their very beginning in any case.
 */
import type { Clock } from "../../../../clock/index.ts";
import { writeAtOnce } from "../../log-transaction.ts";
import type { PgSession } from "../../session.ts";
import { gateLock } from "./settle-sql.ts";

export interface FloorValues {
  readonly turn: string;
  readonly wakeAt: string;
  readonly dueAt: string;
}

export interface Floors {
  now(): FloorValues;
  /** @param nowMs the store's clock, with a claim that took so many jobs */
  saw(nowMs: number, jobs: number): void;
  /** Whether it is time for another look. */
  due(): boolean;
  look(session: PgSession): Promise<void>;
}

const lowest: FloorValues = { turn: "0", wakeAt: "-infinity", dueAt: "-infinity" };
const lookEveryMs = 1_000;
/** A look costs about as much as a claim; below so many jobs there is nothing to gain. */
const lookEveryJobs = 256;
const forgetEveryMs = 60_000;
const gateWaitMs = 50;
/** A clock that is so much behind was set back; less is two answers that overtook each other. */
const setBackMs = 500;

export const floorsSql = `
create function holdfast.selective_floors(of_queue int)
returns table (turn bigint, wake_at text, due_at text)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
  at timestamptz;
begin
  perform pg_advisory_xact_lock(${gateLock});
  at := clock_timestamp();
  return query select
    coalesce((select s.turn from holdfast.selective_state s
               where s.queue = of_queue and s.turn is not null order by s.turn limit 1),
             (select last_value from holdfast.selective_turn)),
    least(at, (select s.wake_at from holdfast.selective_state s
                where s.queue = of_queue and s.wake_at is not null order by s.wake_at limit 1))::text,
    least(at, (select i.due_at from holdfast.selective_item i
                where i.queue = of_queue and i.member is null and not i.ready order by i.due_at limit 1))::text;
end $$;
`;

export function openFloors(queueId: number, clock: Clock): Floors {
  let values = lowest;
  let seenMs = Number.NEGATIVE_INFINITY;
  let jobsSince = 0;
  let lookedAtMs = clock.monotonicMs();
  let forgotAtMs = clock.monotonicMs();
  const forget = () => {
    values = lowest;
    forgotAtMs = clock.monotonicMs();
  };
  return {
    now() {
      if (clock.monotonicMs() - forgotAtMs > forgetEveryMs) forget();
      return values;
    },
    saw(nowMs, jobs) {
      jobsSince += jobs;
      if (nowMs < seenMs - setBackMs) {
        forget();
        seenMs = nowMs;
      }
      seenMs = Math.max(seenMs, nowMs);
    },
    due: () => jobsSince >= lookEveryJobs && clock.monotonicMs() - lookedAtMs > lookEveryMs,
    async look(session) {
      lookedAtMs = clock.monotonicMs();
      jobsSince = 0;
      const since = forgotAtMs;
      const [{ rows }] = await writeAtOnce<[{ turn: string; wake_at: string; due_at: string }]>(
        session,
        [{ text: "select * from holdfast.selective_floors($1)", values: [queueId] }],
        `set local lock_timeout = ${gateWaitMs}; set local synchronous_commit = off`,
      );
      const [row] = rows;
      // A clock that was set back while this was under way has the last word.
      if (row && since === forgotAtMs)
        values = { turn: String(row.turn), wakeAt: row.wake_at, dueAt: row.due_at };
    },
  };
}

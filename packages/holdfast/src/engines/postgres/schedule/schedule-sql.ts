/**
 * What a schedule's home remembers of it, and the statements on it.
 *
 * One row a schedule. It is moved by whoever sends a tick, in the transaction that adds the message, and only from the
 * state that the sender has read: the second of two senders finds it moved.
 */
import type { InstallStep } from "../install-step.ts";
import type { Statement } from "../session.ts";

export const scheduleInstall: InstallStep = {
  name: "schedule",
  version: 1,
  sql: `
create table holdfast.schedule (
  name text primary key,
  -- In words, as declared. A process that knows another rule sends nothing.
  rule text not null,
  -- Ticks that were sent.
  number bigint not null default 0,
  -- In milliseconds since the epoch: everything up to here was sent or left out.
  last_ms bigint not null,
  -- The newest tick that was sent.
  sent_ms bigint,
  paused_at timestamptz,
  changed_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);
`,
};

const nowMs = "floor(date_part('epoch', clock_timestamp()) * 1000)::bigint";

export interface ScheduleRow {
  readonly name: string;
  readonly rule: string;
  readonly number: string;
  readonly last: number;
  readonly sent: number | null;
  readonly paused: boolean;
  readonly now: number;
}

export function readStatement(names: readonly string[]): Statement {
  return {
    text: `select name, rule, number::text, last_ms::float8 as last, sent_ms::float8 as sent,
             paused_at is not null as paused, ${nowMs}::float8 as now
             from holdfast.schedule where name = any($1)`,
    prepare: true,
    values: [names],
  };
}

/**
 * A new schedule begins now: what would have ticked before is none of its. So does one whose rule has changed, unless
 * its memory is ahead of the clock.
 */
export function registerStatement(
  schedules: readonly { readonly name: string; readonly rule: string }[],
): Statement {
  return {
    text: `insert into holdfast.schedule as s (name, rule, last_ms)
           select n.name, n.rule, ${nowMs} from unnest($1::text[], $2::text[]) as n (name, rule) order by n.name
           on conflict (name) do update
             set rule = excluded.rule, last_ms = greatest(s.last_ms, excluded.last_ms), changed_at = clock_timestamp()
             where s.rule <> excluded.rule`,
    values: [schedules.map(({ name }) => name), schedules.map(({ rule }) => rule)],
  };
}

/** From what was read to what it is once its ticks are sent. */
export interface ScheduleMove {
  readonly name: string;
  readonly rule: string;
  readonly wasNumber: bigint;
  readonly wasLastMs: number;
  readonly number: bigint;
  readonly lastMs: number;
  /** `undefined`: none was sent, they were left out. */
  readonly sentMs: number | undefined;
}

/** Moves those that still are as they were read, and that nobody else is moving. Answers their names. */
export function moveStatement(moves: readonly ScheduleMove[]): Statement {
  return {
    text: `
with move as (
  select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    as m (name, rule, was_number, was_last, number, last, sent)
), free as materialized (
  select s.name from holdfast.schedule s join move m using (name)
   where s.rule = m.rule and s.number = m.was_number and s.last_ms = m.was_last and s.paused_at is null
   order by s.name for no key update of s skip locked
)
update holdfast.schedule s
   set number = m.number, last_ms = m.last, sent_ms = coalesce(m.sent, s.sent_ms), changed_at = clock_timestamp()
  from move m join free using (name)
 where s.name = m.name
returning s.name`,
    prepare: true,
    values: [
      moves.map(({ name }) => name),
      moves.map(({ rule }) => rule),
      moves.map(({ wasNumber }) => wasNumber.toString()),
      moves.map(({ wasLastMs }) => wasLastMs),
      moves.map(({ number }) => number.toString()),
      moves.map(({ lastMs }) => lastMs),
      moves.map(({ sentMs }) => sentMs ?? null),
    ],
  };
}

export function pauseStatement(name: string): Statement {
  return {
    text: `update holdfast.schedule set paused_at = clock_timestamp(), changed_at = clock_timestamp()
            where name = $1 and paused_at is null`,
    values: [name],
  };
}

/** Goes on from now, or from where its memory is when the clock is behind it. */
export function resumeStatement(name: string): Statement {
  return {
    text: `update holdfast.schedule
              set paused_at = null, last_ms = greatest(last_ms, ${nowMs}), changed_at = clock_timestamp()
            where name = $1 and paused_at is not null`,
    values: [name],
  };
}

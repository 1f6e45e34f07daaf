/**
 * The schedules of a process that have one home: looks at what is due by the store's clock, sends it, and sleeps until
 * the next one is. Every process with a world does; whichever comes first sends.
 *
 * Between looks it sleeps by this process's monotonic clock, and never longer than a few seconds: that is how soon a
 * schedule that was resumed elsewhere, or a store's clock that was set, is noticed.
 */
import type { Seam } from "../../../call/index.ts";
import type { Clock, Timer } from "../../../clock/index.ts";
import {
  type Due,
  dueStep,
  type Schedule,
  type SchedulePort,
  tickOf,
} from "../../../parts/schedule/index.ts";
import { fullJitterMs } from "../../../resilience/index.ts";
import { boundedSessions } from "../log-session.ts";
import { writeAtOnce } from "../log-transaction.ts";
import { drawMarkerId } from "../marker.ts";
import type { DatabaseNodes } from "../nodes.ts";
import type { OutboxDestination } from "../outbox/index.ts";
import {
  pauseStatement,
  readStatement,
  registerStatement,
  resumeStatement,
  type ScheduleRow,
} from "./schedule-sql.ts";
import { type DueSchedule, sendTicks } from "./send-ticks.ts";

export interface ScheduledAt {
  readonly schedule: Schedule;
  readonly destination: OutboxDestination;
}

export interface SchedulerOptions {
  /** The first node of these is the home of all of the schedules' destinations. */
  readonly home: DatabaseNodes;
  readonly schedules: readonly ScheduledAt[];
  readonly clock: Clock;
  readonly seam: Seam;
}

/** Pure: schedules share a scheduler where their destinations share a home. */
export function schedulesByHome(
  schedules: readonly Schedule[],
  destinations: readonly OutboxDestination[],
): Map<DatabaseNodes, ScheduledAt[]> {
  const homes = new Map<DatabaseNodes, ScheduledAt[]>();
  for (const schedule of schedules) {
    const { kind, name } = schedule.options.to;
    const destination = destinations.find((one) => one.kind === kind && one.name === name);
    if (!destination)
      throw new TypeError(`schedule "${schedule.name}" sends to ${kind} "${name}", which no engine has`);
    homes.set(destination.home, [...(homes.get(destination.home) ?? []), { schedule, destination }]);
  }
  return homes;
}

export interface Scheduler {
  port(name: string): SchedulePort;
  /** Ends looking; what is being sent is sent. May be called twice. */
  stop(): Promise<void>;
}

/** Longest pause between two looks, in milliseconds. */
const lookMsMax = 5_000;
/** Processes that wake for the same tick do so at slightly different moments, within so many milliseconds. */
const apartMs = 25;
/** Pause before it looks again at what somebody else was sending. */
const leftMs = 50;
const backoff = { baseMs: 200, capMs: 10_000 } as const;
/** Most ticks in one transaction. */
const ticksAtOnce = 500;

interface Owing {
  readonly schedule: Schedule;
  readonly row: ScheduleRow;
  readonly due: Due;
}

/** Begins to look at once. */
export function startScheduler({ home, schedules, clock, seam }: SchedulerOptions): Scheduler {
  const use = boundedSessions(home.primary(home.home), clock);
  const names = schedules.map(({ schedule }) => schedule.name);
  const rules = schedules.map(({ schedule }) => ({ name: schedule.name, rule: schedule.options.rule }));
  const known = new Map<string, { readonly lastMs: number; readonly wakeMs: number | undefined }>();
  let registered: Promise<unknown> | undefined;
  let stopped = false;
  let timer: Timer | undefined;
  let wake: (() => void) | undefined;
  let nudged = false;
  let failures = 0;
  /** Schedules whose ticks could not be sent, and until when, on the monotonic clock, they are left. */
  const troubled = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  const failed = (which: readonly string[]): void => {
    for (const name of which) {
      const count = (troubled.get(name)?.failures ?? 0) + 1;
      const waitMs = leftMs + fullJitterMs(count, clock.random.next(), backoff);
      troubled.set(name, { failures: count, untilMs: clock.monotonicMs() + waitMs });
    }
  };

  const register = async () => {
    registered ??= use((session) => writeAtOnce(session, [registerStatement(rules)])).catch(
      (error: unknown) => {
        registered = undefined;
        throw error;
      },
    );
    await registered;
  };
  const read = async (which: readonly string[]): Promise<ScheduleRow[]> => {
    await register();
    return use(async (session) => (await session.send<ScheduleRow>(readStatement(which))).rows);
  };
  const write = async (statement: ReturnType<typeof pauseStatement>) => {
    await register();
    await use((session) => writeAtOnce(session, [statement]));
    nudge();
  };
  const nudge = () => {
    nudged = true;
    timer?.cancel();
    wake?.();
  };

  /** What one schedule owes. Most owe nothing, and are not computed anew for that. */
  const dueOf = (schedule: Schedule, row: ScheduleRow): Due => {
    const before = known.get(schedule.name);
    if (before?.lastMs === row.last && (before.wakeMs === undefined || before.wakeMs > row.now))
      return { send: [], lastMs: row.last, wakeMs: before.wakeMs };
    const due = dueStep(schedule.options, row.last, row.now);
    if (due.lastMs === row.last) known.set(schedule.name, { lastMs: row.last, wakeMs: due.wakeMs });
    return due;
  };

  /** One look. @returns how long nothing is due, in milliseconds */
  const look = async (): Promise<number> => {
    const rows = new Map((await read(names)).map((row) => [row.name, row]));
    let pauseMs = lookMsMax;
    const sending = new Map<OutboxDestination, Owing[]>();
    for (const { schedule, destination } of schedules) {
      const row = rows.get(schedule.name);
      if (!row) {
        // Somebody has deleted it.
        registered = undefined;
        pauseMs = 0;
        continue;
      }
      if (row.paused || row.rule !== schedule.options.rule) continue;
      const waitMs = (troubled.get(schedule.name)?.untilMs ?? 0) - clock.monotonicMs();
      if (waitMs > 0) {
        pauseMs = Math.min(pauseMs, waitMs);
        continue;
      }
      const due = dueOf(schedule, row);
      if (due.lastMs !== row.last) {
        const list = sending.get(destination);
        if (list) list.push({ schedule, row, due });
        else sending.set(destination, [{ schedule, row, due }]);
      } else if (due.wakeMs !== undefined) pauseMs = Math.min(pauseMs, Math.max(0, due.wakeMs - row.now));
    }
    for (const [destination, list] of sending) {
      const moved = await sendAll(destination, list);
      pauseMs = Math.min(pauseMs, moved === list.length ? 0 : leftMs);
    }
    return pauseMs;
  };

  /** A destination that refuses keeps no other from its ticks, nor a schedule whose message cannot be made. */
  const sendAll = async (destination: OutboxDestination, list: readonly Owing[]): Promise<number> => {
    const prepared: DueSchedule[] = [];
    for (const { schedule, row, due } of list) {
      const made = told(seam, schedule.name, () => prepare(schedule, row, due, clock), due.send.length);
      await made.then(
        (one) => prepared.push(one),
        () => failed([schedule.name]),
      );
    }
    let moved = 0;
    for (const some of inParts(prepared)) {
      const own = some.map(({ move }) => move.name);
      try {
        const sent = () => sendTicks(use, destination, some);
        const names = await told(seam, own[0] as string, sent, ticksOf(some));
        for (const name of names) troubled.delete(name);
        moved += names.size;
      } catch {
        failed(own);
      }
    }
    return moved;
  };

  const run = async (): Promise<void> => {
    while (!stopped) {
      let pauseMs: number;
      nudged = false;
      try {
        pauseMs = await look();
        if (pauseMs > 0) pauseMs += clock.random.next() * apartMs;
        failures = 0;
      } catch {
        failures++;
        pauseMs = leftMs + fullJitterMs(failures, clock.random.next(), backoff);
      }
      if (stopped) return;
      if (nudged) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = clock.timer(pauseMs, resolve);
      });
    }
  };
  const running = run();

  return {
    port: (name) => ({
      pause: () => write(pauseStatement(name)),
      resume: () => write(resumeStatement(name)),
      async state() {
        const [row] = await read([name]);
        const found = schedules.find(({ schedule }) => schedule.name === name);
        if (!row || !found) throw new TypeError(`schedule "${name}" is not of this home`);
        const taken = row.rule !== found.schedule.options.rule;
        const { wakeMs } = dueStep(found.schedule.options, row.last, row.now);
        return {
          paused: row.paused,
          number: Number(row.number),
          sentMs: row.sent ?? undefined,
          lastMs: row.last,
          nextMs: row.paused || taken ? undefined : wakeMs,
          nowMs: row.now,
          taken,
        };
      },
    }),
    async stop() {
      stopped = true;
      nudge();
      await running;
    },
  };
}

/** The messages of a schedule's ticks, and its row once they are sent. */
async function prepare(schedule: Schedule, row: ScheduleRow, due: Due, clock: Clock): Promise<DueSchedule> {
  const { name, options } = schedule;
  const wasNumber = BigInt(row.number);
  const entries: DueSchedule["entries"][number][] = [];
  for (const [index, scheduledMs] of due.send.entries()) {
    const tick = tickOf(name, Number(wasNumber) + index + 1, scheduledMs);
    const entry = await options.to.prepare(options.message(tick) as never);
    entries.push({ ...entry, id: drawMarkerId(clock) });
  }
  return {
    move: {
      name,
      rule: options.rule,
      wasNumber,
      wasLastMs: row.last,
      number: wasNumber + BigInt(due.send.length),
      lastMs: due.lastMs,
      sentMs: due.send.at(-1),
    },
    entries,
  };
}

function inParts(due: readonly DueSchedule[]): DueSchedule[][] {
  const parts: DueSchedule[][] = [];
  let ticks = 0;
  for (const one of due) {
    const part = parts.at(-1);
    if (part && ticks + one.entries.length <= ticksAtOnce && part.length < ticksAtOnce) {
      part.push(one);
      ticks += one.entries.length;
    } else {
      parts.push([one]);
      ticks = one.entries.length;
    }
  }
  return parts;
}

function ticksOf(some: readonly DueSchedule[]): number {
  return some.reduce((sum, { entries }) => sum + entries.length, 0);
}

/** Seen by logs. */
function told<T>(seam: Seam, name: string, run: () => Promise<T>, ticks: number): Promise<T> {
  return seam.operation("schedule", name, "send", undefined, run, { ticks });
}

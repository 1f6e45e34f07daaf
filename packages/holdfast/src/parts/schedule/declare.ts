/**
 * `schedule`: a message to a topic or queue at each tick of a cron expression or interval, once across all processes.
 *
 * The message is what happens at a tick, and nothing else does: the work is a worker's, with its retries, its dead
 * letters, and as many processes as it needs.
 */
import { currentCall, refuseProblems } from "../../call/index.ts";
import { isoTime } from "../../clock/index.ts";
import type { OutboxEntry } from "../outbox/index.ts";
import { type Bindable, type DatabasePart, namingProblem, type Part } from "../part.ts";
import { boundPort, currentWorld } from "../world.ts";
import { type DueRule, jitterOf, type MissedPolicy } from "./due-step.ts";
import type { SchedulePort, ScheduleState } from "./port.ts";
import { cronProblem, cronTicks, everyTicks, type Ticks } from "./ticks.ts";

/** What a schedule can send to: a topic, or a queue. */
export interface Destination<Value> extends Part {
  readonly kind: "topic" | "queue";
  readonly options: { readonly home: DatabasePart | undefined };
  /** From a value to what its engine appends. */
  prepare(value: Value): Promise<OutboxEntry>;
}

export interface Tick {
  readonly schedule: string;
  /** 1 for the first that was ever sent, rising by one: what was left out has no number. */
  readonly number: number;
  /** The instant it stands for, not when it was sent: in milliseconds since the epoch. */
  readonly scheduledAtMs: number;
  /** The same as ISO 8601 in UTC. */
  readonly scheduledAt: string;
}

interface CommonOptions<Value> {
  /** Where the message goes. Its home keeps the schedule's memory. */
  readonly to: Destination<Value>;
  /**
   * The message of a tick. Answers at once and does nothing else: it may be called for a tick that another process
   * then sends. While it throws, or answers what does not fit the destination's schema, the tick is tried again.
   */
  readonly message: (tick: Tick) => NoInfer<Value>;
  /**
   * What becomes of ticks that nobody sent in time, because nothing ran or the store was away: `skip` them, send the
   * `last`, or `all`. Default `last`. Of a schedule that was paused they are always left out.
   */
  readonly missed?: MissedPolicy;
  /** With `skip`: how old a tick may be to count as in time, in milliseconds, 1_000 or more. Default 60_000. */
  readonly lateMs?: number;
  /** With `all`: of more missed ticks than this only the newest are sent, 1 to 1_000. Default 100. */
  readonly missedMax?: number;
  /**
   * Schedules with the same rule are spread over so many milliseconds, each by a share of its own that never changes.
   * 0 to 3_600_000, default 0.
   */
  readonly jitterMs?: number;
}

export interface CronOptions<Value> extends CommonOptions<Value> {
  /**
   * Five fields: minute, hour, day of month, month, day of week; or six, with the second first. With names (`MON`,
   * `JAN`), lists, ranges, steps, `L` (last day, `FRI#L` last Friday), `#` (`MON#1` first Monday), `W` (nearest weekday).
   */
  readonly cron: string;
  /** IANA time zone whose clock the expression means, such as `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string;
  readonly every?: undefined;
}

export interface EveryOptions<Value> extends CommonOptions<Value> {
  /**
   * Every `ms` milliseconds since 1970 in UTC, 100 or more: `60_000` is each full minute. `offsetMs` moves it within
   * that, from 0 up to `ms`; default 0.
   */
  readonly every: { readonly ms: number; readonly offsetMs?: number };
  readonly cron?: undefined;
  readonly timeZone?: undefined;
}

export type ScheduleOptions<Value> = CronOptions<Value> | EveryOptions<Value>;

export interface ResolvedScheduleOptions<Value> extends DueRule {
  readonly to: Destination<Value>;
  readonly message: (tick: Tick) => Value;
  /** The rule as declared, for people. */
  readonly rule: string;
  readonly timeZone: string;
  readonly jitterMs: number;
}

export const scheduleDefaults = {
  timeZone: "UTC",
  missed: "last",
  lateMs: 60_000,
  missedMax: 100,
  jitterMs: 0,
} as const;

export interface Schedule<Value = never> extends Bindable<SchedulePort> {
  readonly kind: "schedule";
  readonly options: ResolvedScheduleOptions<Value>;
  /** Pure: the next instants after one, in milliseconds since the epoch. Needs no world. */
  next(afterMs: number, count?: number): number[];
  /** Nothing is sent until it is resumed: in no process, and also after a restart. */
  pause(): Promise<void>;
  /** Goes on from now; what would have ticked while it was paused is left out. */
  resume(): Promise<void>;
  state(): Promise<ScheduleState>;
}

/** @throws {HoldfastError} HOLDFAST_OPTIONS_INVALID with every problem at once */
export function schedule<Value>(name: string, options: ScheduleOptions<Value>): Schedule<Value> {
  const resolved = resolveOptions(name, options);
  const through = <T>(operation: string, run: (port: SchedulePort) => Promise<T>) =>
    currentWorld(handle).seam.operation("schedule", name, operation, currentCall(), () =>
      run(boundPort(handle)),
    );
  const handle: Schedule<Value> = {
    kind: "schedule",
    name,
    options: resolved,
    next(afterMs, count = 1) {
      const found: number[] = [];
      for (let at = resolved.ticks.next(afterMs); at !== undefined && found.length < count; ) {
        found.push(at);
        at = resolved.ticks.next(at);
      }
      return found;
    },
    pause: () => through("pause", (port) => port.pause()),
    resume: () => through("resume", (port) => port.resume()),
    state: () => through("state", (port) => port.state()),
  };
  return handle;
}

/** Pure. */
export function tickOf(schedule: string, number: number, scheduledAtMs: number): Tick {
  return { schedule, number, scheduledAtMs, scheduledAt: isoTime(scheduledAtMs) };
}

function resolveOptions<Value>(
  name: string,
  options: ScheduleOptions<Value>,
): ResolvedScheduleOptions<Value> {
  const problems: string[] = [];
  const naming = namingProblem("schedule", name);
  if (naming) problems.push(naming);
  const { to, message, cron, every } = options;
  const timeZone = options.timeZone ?? scheduleDefaults.timeZone;
  const missed = options.missed ?? scheduleDefaults.missed;
  const lateMs = options.lateMs ?? scheduleDefaults.lateMs;
  const missedMax = options.missedMax ?? scheduleDefaults.missedMax;
  const jitterMs = options.jitterMs ?? scheduleDefaults.jitterMs;
  const ticks = ticksOf(cron, every, timeZone, problems);
  if (to?.kind !== "topic" && to?.kind !== "queue")
    problems.push("to should be a topic or a queue: it gets the message");
  if (typeof message !== "function")
    problems.push("message should be a function from a tick to the message that is sent");
  if (missed !== "skip" && missed !== "last" && missed !== "all")
    problems.push(`missed should be "skip", "last" or "all", got ${JSON.stringify(missed)}`);
  if (!(lateMs >= 1_000)) problems.push(`lateMs should be at least 1000, got ${lateMs}`);
  if (!(Number.isInteger(missedMax) && missedMax >= 1 && missedMax <= 1_000))
    problems.push(`missedMax should be a whole number from 1 to 1000, got ${missedMax}`);
  if (!(Number.isInteger(jitterMs) && jitterMs >= 0 && jitterMs <= 3_600_000))
    problems.push(`jitterMs should be a whole number from 0 to 3600000, got ${jitterMs}`);
  refuseProblems("HOLDFAST_OPTIONS_INVALID", `schedule "${name}"`, problems);
  return Object.freeze({
    to,
    message,
    ticks: ticks as Ticks,
    rule: (ticks as Ticks).rule,
    timeZone,
    missed,
    lateMs,
    missedMax,
    jitterMs,
    delayMs: jitterOf(name, jitterMs),
  });
}

function ticksOf(
  cron: string | undefined,
  every: EveryOptions<unknown>["every"] | undefined,
  timeZone: string,
  problems: string[],
): Ticks | undefined {
  if ((cron === undefined) === (every === undefined)) {
    problems.push(
      cron === undefined
        ? 'say when: cron such as "0 3 * * *", or every: { ms: 60_000 }'
        : "cron and every are two rules for one schedule: leave one out, or declare two schedules",
    );
    return undefined;
  }
  if (cron !== undefined) {
    const problem = cronProblem(cron, timeZone);
    if (problem) problems.push(problem);
    return problem ? undefined : cronTicks(cron, timeZone);
  }
  const { ms, offsetMs = 0 } = every ?? { ms: Number.NaN };
  const before = problems.length;
  if (!(Number.isInteger(ms) && ms >= 100))
    problems.push(`every.ms should be a whole number, 100 or more, got ${ms}`);
  if (!(Number.isInteger(offsetMs) && offsetMs >= 0 && !(offsetMs >= ms)))
    problems.push(`every.offsetMs should be a whole number from 0 up to every.ms, got ${offsetMs}`);
  return problems.length > before ? undefined : everyTicks(ms, offsetMs);
}

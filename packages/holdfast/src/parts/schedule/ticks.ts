/**
 * When a schedule ticks: a cron expression in a time zone, or every so many milliseconds. Pure: the same instants
 * wherever they are computed, which is what lets any process of a system compute them.
 *
 * Cron is read by croner. Where the clocks change: an expression that names its times (no `*` or step in second, minute
 * and hour) ticks once for each of them, at the first moment after a gap, and the first time of an overlap. Any other
 * ticks as often as the clock on the wall shows a time that fits: not in a gap, twice in an overlap.
 *
 * @see https://croner.56k.guru, `fixedTimeRule: "no-wildcard"`; the rule is Vixie cron's
 */
import { Cron } from "croner";
import { isoTime } from "../../clock/index.ts";

export interface Ticks {
  /** The first tick after an instant; `undefined` when there is none any more. All in milliseconds since the epoch. */
  next(afterMs: number): number | undefined;
  /** The newest ticks in (afterMs, untilMs], oldest first, at most so many. */
  newest(count: number, afterMs: number, untilMs: number): number[];
  /** The rule in words that never change while it means the same: how a stored schedule knows its own. */
  readonly rule: string;
}

/**
 * @throws {Error} what croner says of the expression
 * @param cron five fields (minute, hour, day of month, month, day of week) or six, with the second first
 */
export function cronTicks(cron: string, timeZone: string): Ticks {
  const parsed = new Cron(cron, {
    timezone: timeZone,
    mode: "5-or-6-parts",
    fixedTimeRule: "no-wildcard",
    paused: true,
  });
  const next = (afterMs: number) => parsed.nextRun(isoTime(afterMs))?.getTime();
  return {
    next,
    newest(count, afterMs, untilMs) {
      // What it calls previous is before, not at.
      const before = parsed.previousRuns(count, isoTime(untilMs + 1));
      return before
        .map((date) => date.getTime())
        .filter((ms) => ms > afterMs)
        .reverse();
    },
    rule: `cron ${cron.trim().replace(/\s+/g, " ")} in ${timeZone}`,
  };
}

/** Every `ms` milliseconds since the epoch, plus `offsetMs`: `60_000` is each full minute. */
export function everyTicks(ms: number, offsetMs: number): Ticks {
  const next = (afterMs: number) => (Math.floor((afterMs - offsetMs) / ms) + 1) * ms + offsetMs;
  return {
    next,
    newest(count, afterMs, untilMs) {
      const last = next(untilMs) - ms;
      const found: number[] = [];
      for (let at = last; at > afterMs && found.length < count; at -= ms) found.push(at);
      return found.reverse();
    },
    rule: `every ${ms} ms${offsetMs === 0 ? "" : ` plus ${offsetMs} ms`}`,
  };
}

/** What is wrong with an expression, in words; `undefined` when it can be used. */
export function cronProblem(cron: unknown, timeZone: unknown): string | undefined {
  if (typeof timeZone !== "string" || !isTimeZone(timeZone))
    return `timeZone should be an IANA time zone such as "Europe/Berlin" or "UTC", got ${JSON.stringify(timeZone)}`;
  const shape = 'cron should have five fields such as "0 3 * * *", or six with the second first';
  if (typeof cron !== "string") return `${shape}, got ${JSON.stringify(cron)}`;
  const fields = cron.trim().split(/\s+/).length;
  if (fields !== 5 && fields !== 6) return `${shape}, got ${JSON.stringify(cron)}`;
  try {
    if (cronTicks(cron, timeZone).next(0) !== undefined) return undefined;
    return `cron ${JSON.stringify(cron)} never ticks: there is no such day`;
  } catch (error) {
    return `cron ${JSON.stringify(cron)}: ${(error as Error).message.replace(/^CronPattern: /, "")}`;
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * What a schedule owes at an instant: the ticks to send now, and when to look again. A pure step.
 *
 * Its memory is one instant: everything up to it was sent, or left out for good. A clock that goes back finds nothing
 * due until it has passed that instant again, so no tick is ever sent twice; one that jumps ahead looks like a time in
 * which nothing ran, and the policy for missed ticks answers both.
 */
import { keyHashModulo } from "../../placement/index.ts";
import type { Ticks } from "./ticks.ts";

/**
 * What becomes of ticks that nobody sent in time:
 * - `skip`: only a tick that is at most `lateMs` old is sent;
 * - `last`: the newest of them is sent, however old, and the others are not;
 * - `all`: each is sent, oldest first; of more than `missedMax`, the newest so many.
 */
export type MissedPolicy = "skip" | "last" | "all";

export interface DueRule {
  readonly ticks: Ticks;
  readonly missed: MissedPolicy;
  /** Of `skip`. */
  readonly lateMs: number;
  /** Of `all`. */
  readonly missedMax: number;
  /** How much later than its instant each tick is sent. @see jitterOf */
  readonly delayMs: number;
}

export interface Due {
  /** Ticks to send now, oldest first. */
  readonly send: readonly number[];
  /** The memory from now on. */
  readonly lastMs: number;
  /** When to look again; `undefined`: never, there is no further tick. */
  readonly wakeMs: number | undefined;
}

/**
 * @param lastMs everything up to here was sent or left out
 * @param nowMs by the store's clock
 */
export function dueStep(rule: DueRule, lastMs: number, nowMs: number): Due {
  const { ticks, missed, lateMs, missedMax, delayMs } = rule;
  const untilMs = nowMs - delayMs;
  const first = ticks.next(lastMs);
  if (first === undefined || first > untilMs) return { send: [], lastMs, wakeMs: wakeAt(first, delayMs) };
  const due = ticks.newest(missed === "all" ? missedMax : 1, lastMs, untilMs);
  const send = missed === "skip" ? due.filter((tick) => untilMs - tick <= lateMs) : due;
  const newest = due.at(-1) ?? lastMs;
  return { send, lastMs: newest, wakeMs: wakeAt(ticks.next(newest), delayMs) };
}

function wakeAt(tick: number | undefined, delayMs: number): number | undefined {
  return tick === undefined ? undefined : tick + delayMs;
}

/**
 * The share of the jitter that is a schedule's own, from its name: the same in every process and for every tick, so
 * that ticks keep their order and distance, while schedules with one and the same rule spread.
 */
export function jitterOf(name: string, jitterMs: number): number {
  return jitterMs === 0 ? 0 : keyHashModulo(name, jitterMs);
}

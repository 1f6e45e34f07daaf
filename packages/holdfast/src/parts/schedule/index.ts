export {
  type CronOptions,
  type Destination,
  type EveryOptions,
  type ResolvedScheduleOptions,
  type Schedule,
  type ScheduleOptions,
  schedule,
  scheduleDefaults,
  type Tick,
  tickOf,
} from "./declare.ts";
export { type Due, type DueRule, dueStep, jitterOf, type MissedPolicy } from "./due-step.ts";
export type { SchedulePort, ScheduleState } from "./port.ts";
export { cronTicks, everyTicks, type Ticks } from "./ticks.ts";

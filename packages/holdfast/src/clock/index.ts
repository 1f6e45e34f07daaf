export type { Clock, Random, Timer, TimerOptions } from "./clock.ts";
export { randomInt } from "./clock.ts";
export { ClockError, type ClockErrorCode } from "./clock-error.ts";
export { hostMonotonicNs } from "./host-monotonic.ts";
export { isoTime, parseIsoTime } from "./iso-time.ts";
export { type ManualClock, type ManualClockOptions, manualClock } from "./manual-clock.ts";
export { type Moment, momentMs } from "./moment.ts";
export { seededRandom } from "./seeded-random.ts";
export { systemClock, systemRandom } from "./system-clock.ts";

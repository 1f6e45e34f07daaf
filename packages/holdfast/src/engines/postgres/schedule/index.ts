export { scheduleInstall } from "./schedule-sql.ts";
export {
  type ScheduledAt,
  type Scheduler,
  type SchedulerOptions,
  schedulesByHome,
  startScheduler,
} from "./scheduler.ts";

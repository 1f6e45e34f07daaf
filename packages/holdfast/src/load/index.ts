export { type ArrivalKind, arrivalGaps } from "./arrivals.ts";
export {
  isLoadPlan,
  type LoadPlan,
  type LoadPlanOptions,
  type LoadRequest,
  type LoadResponse,
  loadPlan,
  loadPlanDefaults,
  type RequestContext,
  type RequestSpec,
  type SetupContext,
} from "./plan.ts";
export {
  type MachineProfile,
  type ProfiledMachine,
  type ProfileFigure,
  profileProblems,
  readProfile,
  writeProfile,
} from "./profile/index.ts";
export type { LoadProgress } from "./progress.ts";
export { readLoadPlan } from "./read-plan.ts";
export { progressLine, reportLines } from "./report.ts";
export {
  type LoadReport,
  type RunLoadOptions,
  runLoad,
  runLoadDefaults,
} from "./run-load.ts";
export type { FailureCount, Percentiles } from "./tally.ts";
export { loadTarget } from "./target.ts";
export { startTraffic, type TrafficOptions, trafficDefaults } from "./traffic.ts";
export { zipf } from "./zipf.ts";

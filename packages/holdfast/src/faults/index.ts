/**
 * Faults for systems under test: one language for what goes wrong, when and to whom, injectors that really do it
 * and look whether it works, and the undoing of all of it, whatever happens to the process that did it.
 *
 *   const timeline = schedule(7, plan);
 *   const report = await runFaults({ timeline, target, clock: systemClock, alive });
 */
export type { LinkFault, LinkWay } from "./link/link-way.ts";
export { type FaultNetwork, type FaultNetworkOptions, openFaultNetwork } from "./network/fault-network.ts";
export {
  type Direction,
  type Fault,
  type FaultKind,
  faultKinds,
  faultText,
  type Link,
  type Place,
  type Whom,
  whomText,
} from "./plan/fault.ts";
export { keepsMajority } from "./plan/majority.ts";
export {
  type DrawnFault,
  type DrawnFaults,
  type FaultPlan,
  type FaultStep,
  faultPlanDefaults,
  type Range,
  type TimedFault,
  type Timeline,
} from "./plan/plan.ts";
export { checkFaultPlan, faultPlanProblems } from "./plan/plan-problems.ts";
export { schedule } from "./plan/schedule.ts";
export { stepTimeline, type TimelineState, type TimelineStep, timelineStart } from "./plan/timeline-step.ts";
export { processTree } from "./process/proc.ts";
export { type FaultProxy, type FaultProxyOptions, startFaultProxy } from "./proxy/fault-proxy.ts";
export type { DirectionSettings, FaultProxyControl, ProxyCounts, ProxySettings } from "./proxy/settings.ts";
export { spawnFaultProxy } from "./proxy/spawn-fault-proxy.ts";
export { type FaultRun, type FaultRunOptions, faultRun } from "./run/fault-run.ts";
export type { LinkControl } from "./run/link-control.ts";
export type { FaultRecord, FaultReport, NemesisEvent } from "./run/report.ts";
export { type RunFaultsOptions, runFaults } from "./run/run-faults.ts";
export type { ClockControl, FaultMember, FaultTarget, ProcessControl, ReplicaControl } from "./run/target.ts";
export {
  type DiskControl,
  diskAt,
  openSmallDisk,
  type SmallDisk,
  type SmallDiskOptions,
} from "./state/disk.ts";
export {
  type FakeClock,
  type FakeClockOptions,
  findFakeTimeLibrary,
  openFakeClock,
} from "./state/fake-clock.ts";
export { type PostgresReplicaOptions, postgresReplica, type SqlSession } from "./state/postgres-replica.ts";
export { type UndoEntry, type UndoGuard, undoGuard } from "./undo/undo-guard.ts";

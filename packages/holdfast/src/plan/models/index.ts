export {
  type Availability,
  type Downtime,
  downtime,
  fromRepair,
  inParallel,
  inSeries,
  kOfN,
} from "./availability.ts";
export { type DrainInput, drainAfterStop, drainTime } from "./drain.ts";
export {
  type ForkJoin,
  type ForkJoinInput,
  forkJoin,
  forkJoinBranchesMax,
  harmonic,
  type SlowestOf,
  slowestOfExponential,
} from "./fork-join.ts";
export {
  add,
  ceil,
  divide,
  exactly,
  falling,
  type Interval,
  interval,
  multiply,
  rising,
} from "./interval.ts";
export { type Hop, type HopShare, type LatencyBudget, latencyBudget } from "./latency-budget.ts";
export { type LatencyLaw, latencyLaw } from "./latency-law.ts";
export {
  halfinWhitt,
  inSystem,
  type Servers,
  type ServersInput,
  serversFor,
  squareRootStaffing,
} from "./little.ts";
export {
  type Mg1,
  type Mg1Input,
  type ProcessorSharing,
  pollaczekKhinchine,
  processorSharing,
} from "./mg1.ts";
export { erlangB, erlangC, type Mmc, type MmcInput, mmc } from "./mmc.ts";
export { doesNotHold, type Modelled, type NotModelled } from "./model.ts";
export { type SupermarketInput, supermarket } from "./power-of-d.ts";
export { type RetryStorm, type RetryStormInput, retryStorm } from "./retry-storm.ts";
export {
  type Hedge,
  type HedgeInput,
  hedge,
  type SlowerThan,
  slowShareAllowed,
  tailAmplification,
} from "./tail.ts";
export { fitUsl, type Usl, type UslFit, type UslParameters, type UslPoint, usl } from "./usl.ts";
export {
  hottestShare,
  idealHitRatio,
  itemsForHitRatio,
  lruHitRatio,
  lruItemsForHitRatio,
  type ZipfPopularity,
  zipfWeight,
} from "./zipf-cache.ts";

/** Everything that findings are drawn from: the figures, never the names of parts. */
import type { SystemGraph } from "../architecture/graph.ts";
import type { OperationAvailability } from "../dive/availability.ts";
import type { OperationLatency } from "../dive/latency.ts";
import type { CacheEstimate } from "../estimate/cache.ts";
import type { PartSize } from "../estimate/part-size.ts";
import type { QueueEstimate } from "../estimate/queues.ts";
import type { OperationRate } from "../estimate/rates.ts";
import type { DataVolume } from "../estimate/storage.ts";
import type { FanOutComparison } from "../fan-out/compare.ts";
import type { Interval } from "../models/interval.ts";
import type { ResolvedRequirements } from "../requirements/resolved.ts";

export interface FindingContext {
  readonly requirements: ResolvedRequirements;
  readonly graph: SystemGraph;
  readonly rates: ReadonlyMap<string, OperationRate>;
  readonly sizes: ReadonlyMap<string, PartSize>;
  readonly volumes: readonly DataVolume[];
  readonly caches: readonly CacheEstimate[];
  readonly queues: readonly QueueEstimate[];
  readonly latencies: readonly OperationLatency[];
  readonly availabilities: readonly OperationAvailability[];
  readonly fanOuts: ReadonlyMap<string, FanOutComparison>;
  /** Share of the time that one region is up. */
  readonly regionAvailability: Interval;
}

/** Requirements as the planner works with them: every quantity an interval in one unit, nothing left open. */
import type { DecisionRecord, PlannedKind } from "../../parts/requirements/index.ts";
import type { Interval } from "../models/interval.ts";

export interface ResolvedRequirements {
  readonly name: string;
  readonly summary: string | undefined;
  readonly dailyUsers: Interval | undefined;
  readonly operations: readonly ResolvedOperation[];
  readonly outOfScope: readonly string[];
  readonly data: readonly ResolvedDataSet[];
  readonly parts: readonly ResolvedPart[];
  readonly availability: Interval;
  readonly regions: number;
  readonly growthPerYear: Interval;
  readonly horizonYears: Interval;
  readonly decisions: readonly DecisionRecord[];
  readonly prices: ResolvedPrices | undefined;
  readonly assumptions: readonly Assumption[];
}

/** Something that was taken for granted: `id` is the field that it stands for, or `stated-N` for the author's own. */
export interface Assumption {
  readonly id: string;
  readonly text: string;
  readonly source: string;
  readonly by: "planner" | "author";
}

export type CallRate =
  | { readonly kind: "users"; readonly users: Interval; readonly perUserPerDay: Interval }
  | { readonly kind: "rate"; readonly perSecond: Interval }
  | { readonly kind: "ratio"; readonly of: string; readonly ratio: Interval };

export type ReadFreshness = "eventual" | "session" | "strong";

export interface ResolvedOperation {
  readonly name: string;
  readonly calledBy: string;
  readonly does: "read" | "write";
  readonly rate: CallRate;
  readonly peakFactor: Interval;
  readonly requestBytes: Interval;
  readonly responseBytes: Interval;
  readonly path: readonly ResolvedStep[];
  readonly p99Ms: Interval;
  readonly consistency: ReadFreshness;
  readonly idempotent: "by-nature" | "by-key" | "no";
  readonly retries: number;
  readonly fanOut: ResolvedFanOut | undefined;
}

export interface ResolvedStep {
  readonly part: string;
  readonly does: "read" | "write";
  readonly calls: Interval;
  readonly order: "at-once" | "one-by-one";
  readonly async: boolean;
  readonly onMissOf: string | undefined;
  readonly level: ReadFreshness;
  readonly keys: Interval;
  readonly bytes: Interval | undefined;
}

export interface ResolvedFanOut {
  readonly to: string;
  readonly by: string | undefined;
  readonly accounts: Interval;
  readonly followers: { readonly mean: Interval; readonly max: Interval };
  readonly readBy: string;
  readonly deliveredWithinMs: Interval;
}

export interface ResolvedDataSet {
  readonly name: string;
  readonly in: string;
  readonly items: Interval;
  readonly itemBytes: Interval;
  readonly growth:
    | { readonly kind: "operation"; readonly operation: string; readonly itemsPerCall: Interval }
    | { readonly kind: "daily"; readonly itemsPerDay: Interval }
    | { readonly kind: "none" };
  /** `undefined`: forever. */
  readonly retentionDays: Interval | undefined;
  readonly durability: "critical" | "standard" | "rebuildable";
  readonly indexOverhead: Interval;
  readonly hitRatio: Interval | undefined;
  readonly skew: Interval;
  readonly activeItems: Interval | undefined;
}

export interface ResolvedPart {
  readonly name: string;
  readonly kind: PlannedKind;
  /** Whether the system's code declares it, or only the requirements. */
  readonly inCode: boolean;
  readonly instances: number | undefined;
  readonly replicas: number | undefined;
  readonly nodes: number | undefined;
  readonly shards: number | undefined;
  readonly partitions: number | undefined;
  readonly from: string | undefined;
  readonly limit: number | "none" | undefined;
  readonly ttlMs: Interval | undefined;
  readonly singleFlight: boolean;
  readonly maxBytes: Interval | undefined;
  readonly serviceMs: Interval | undefined;
  readonly availability: Interval | undefined;
  readonly replication: "synchronous" | "asynchronous";
  readonly backup:
    | { readonly everyHours: Interval; readonly restoredInHours: Interval | undefined }
    | undefined;
}

export interface ResolvedPrices {
  readonly currency: string;
  readonly source: string;
  readonly instanceHour: Interval | undefined;
  readonly nodeHour: Interval | undefined;
  readonly storageGigabyteMonth: Interval | undefined;
  readonly egressGigabyte: Interval | undefined;
}

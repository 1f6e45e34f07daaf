/**
 * A plan of faults: pure data that can be kept as JSON, for real systems and simulated ones.
 *
 *   const plan: FaultPlan = {
 *     lastsMs: 30_000,
 *     groups: { db: ["db-1", "db-2", "db-3"] },
 *     majorities: ["db"],
 *     steps: [{ fault: { kind: "kill" }, on: { role: "primary" }, atMs: 5_000, forMs: 2_000 }],
 *     drawn: { faults: [{ fault: { kind: "pause" }, on: [{ part: "db" }] }], forMs: { min: 500, max: 3_000 } },
 *   };
 *   const timeline = schedule(7, plan);     // the same seed, the same times
 */
import type { Fault, Whom } from "./fault.ts";

export interface FaultPlan {
  /** Length of the phase in which faults come and go, in milliseconds. All of them have ended when it ends. */
  readonly lastsMs: number;
  /** How long the system has to come back after all faults are undone, in milliseconds. Default 30_000. */
  readonly healMs?: number;
  /** Faults at the same time, at most. Default 1. Steps written by hand count too. */
  readonly atOnceMax?: number;
  /** Longest that one fault may last, in milliseconds: the system has to be able to recover. Default 10_000. */
  readonly forMsMax?: number;
  /** Members of parts and of groups, by name: instances or nodes. What majorities are counted over. */
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** Groups of which a majority that can talk among itself is left at every time. */
  readonly majorities?: readonly string[];
  /** Faults at given times. */
  readonly steps?: readonly FaultStep[];
  /** Faults drawn from the seed, between those of `steps`. */
  readonly drawn?: DrawnFaults;
}

export interface FaultStep {
  readonly fault: Fault;
  readonly on: Whom;
  /** When it begins, in milliseconds from the start. */
  readonly atMs: number;
  /** How long it lasts, in milliseconds. */
  readonly forMs: number;
  /** Again and again, this long from begin to begin, in milliseconds, for as long as the phase lasts. Default: once. */
  readonly everyMs?: number;
}

export interface DrawnFaults {
  readonly faults: readonly DrawnFault[];
  /** How long each lasts, in milliseconds. */
  readonly forMs: Range;
  /** Rest between the end of one fault and the begin of the next in its place, in milliseconds. Default 500 to 3_000. */
  readonly restMs?: Range;
}

export interface DrawnFault {
  readonly fault: Fault;
  /** One of them is drawn each time. */
  readonly on: readonly Whom[];
  /** How often it is drawn, beside the others. Default 1. */
  readonly weight?: number;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

export const faultPlanDefaults = {
  healMs: 30_000,
  atOnceMax: 1,
  forMsMax: 10_000,
  restMs: { min: 500, max: 3_000 },
} as const;

/** A fault with its times. */
export interface TimedFault {
  /** From 1, in the order of their begin. */
  readonly id: number;
  readonly fault: Fault;
  readonly on: Whom;
  readonly beginMs: number;
  readonly endMs: number;
}

/** What happens when: first faults, then healing, in which all of them are undone and liveness is at stake. */
export interface Timeline {
  readonly seed: number;
  /** In the order of their begin. */
  readonly faults: readonly TimedFault[];
  /** When healing begins: no fault ends later. */
  readonly healAtMs: number;
  /** When the system has to have come back. */
  readonly endMs: number;
}
